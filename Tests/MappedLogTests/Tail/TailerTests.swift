import MappedLog
import Synchronization
import SystemPackage
import Testing

/// Reading forwards, backwards and from anywhere.
@Suite struct TailerTests {
    @Test func `the end is found beside a writer that never rests`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 1 << 20, durability: .never))
            let isDone = Atomic(false)
            let writer = Thread.run {
                while !isDone.load(ordering: .relaxed) { _ = try? log.append(payload(1, 24)) }
            }
            defer {
                isDone.store(true, ordering: .relaxed)
                writer.join()
            }
            let reader = try Log.openReadOnly(at: path)
            for _ in 0..<500 {
                let before = try log.append(payload(2, 24))
                let next = try reader.nextSequence
                #expect(next > before.sequence)
                let tailer = try reader.tailer(from: .end)
                #expect(tailer.sequence >= next)
            }
        }
    }

    /// Five segments with records of many sizes, batches, and marks between.
    private func makeLog(at path: FilePath) throws -> Log {
        let log = try Log.create(at: path, options: .small)
        for number in 0..<60 {
            let time = Timestamp(nanosecondsSince1970: Int64(number * 10))
            if number % 7 == 3 {
                try log.append(batch: (0..<4).map { payload($0, 700 * $0) }, timestamp: time)
            } else {
                try log.append(payload(number, number * 977 % 9000), timestamp: time)
            }
        }
        return log
    }

    @Test func `a seek by sequence or position finds every record, and the end`() throws {
        try withTemporaryDirectory { directory in
            let log = try makeLog(at: directory.appending("log"))
            let all = Sight.of(log).records
            #expect(all.last!.position > 4 * 65_536)
            var tailer = try log.tailer()
            for record in all.reversed() {
                try tailer.seek(to: .sequence(record.sequence))
                #expect(try tailer.nextSeen() == record)
                try tailer.seek(to: .position(Position(rawValue: record.position)))
                #expect(tailer.position.rawValue == record.position && tailer.sequence == record.sequence)
                #expect(try tailer.nextSeen() == record)
            }
            for start in [TailStart.end, .sequence(UInt64(all.count)), .position(try log.endPosition)] {
                try tailer.seek(to: start)
                #expect(try tailer.nextSeen() == nil)
                #expect(try tailer.position == log.endPosition)
                #expect(tailer.sequence == UInt64(all.count))
            }
        }
    }

    @Test func `a seek to what is not there is out of range, and moves nothing`() throws {
        try withTemporaryDirectory { directory in
            let log = try makeLog(at: directory.appending("log"))
            var tailer = try log.tailer(from: .sequence(5))
            let end = try log.endPosition.rawValue
            let position = tailer.position.rawValue
            let wrong: [TailStart] = [
                .sequence(try log.nextSequence + 1), .sequence(.max), .position(Position(rawValue: position + 8)),
                .position(Position(rawValue: position + 1)), .position(Position(rawValue: 0)),
                .position(Position(rawValue: 4088)), .position(Position(rawValue: 65_536)),
                .position(Position(rawValue: 61_448)), .position(Position(rawValue: end + 8)),
                .position(Position(rawValue: .max)), .position(Position(rawValue: 1 << 63)),
            ]
            for start in wrong {
                #expect(code { try tailer.seek(to: start) } == .outOfRange, "\(start)")
                #expect(tailer.position.rawValue == position && tailer.sequence == 5)
            }
        }
    }

    @Test func `a seek by time finds the first record in sequence that is not earlier`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            // A clock that steps back and forth over segments.
            var times: [Int64] = []
            for number in 0..<80 {
                let time = Int64((number * 37) % 50 * 100 - 1000 + (number > 60 ? 9000 : 0))
                times.append(time)
                try log.append(payload(number, 4000), timestamp: Timestamp(nanosecondsSince1970: time))
            }
            for time in Array(stride(from: Int64(-1100), to: 14_000, by: 50)) + [.min, .max] {
                let expected = times.firstIndex { $0 >= time } ?? 80
                let tailer = try log.tailer(from: .time(Timestamp(nanosecondsSince1970: time)))
                #expect(tailer.sequence == UInt64(expected), "\(time)")
            }
        }
    }

    @Test func `previous reads everything backwards, over segments and batches`() throws {
        try withTemporaryDirectory { directory in
            let log = try makeLog(at: directory.appending("log"))
            let all = Sight.of(log).records
            var tailer = try log.tailer(from: .end)
            var backwards: [SeenRecord] = []
            while let record = try tailer.previousSeen() {
                #expect(tailer.sequence == record.sequence && tailer.position.rawValue == record.position)
                backwards.append(record)
            }
            #expect(backwards == all.reversed())
            #expect(try tailer.previousSeen() == nil)
            #expect(try tailer.nextSeen() == all.first)
        }
    }

    @Test func `next and previous may be mixed, and come to the same records`() throws {
        try withTemporaryDirectory { directory in
            let log = try makeLog(at: directory.appending("log"))
            let all = Sight.of(log).records
            var tailer = try log.tailer(from: .sequence(30))
            var place = 30
            var random = SplitMix(state: 7)
            for _ in 0..<2000 {
                if random.next() % 2 == 0 {
                    #expect(try tailer.nextSeen() == (place < all.count ? all[place] : nil))
                    place = min(place + 1, all.count)
                } else {
                    #expect(try tailer.previousSeen() == (place > 0 ? all[place - 1] : nil))
                    place = max(place - 1, 0)
                }
            }
        }
    }

    @Test func `marks are passed over both ways`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            for number in 0..<5 {
                // Each close leaves a mark behind the record.
                let log = try Log.openOrCreate(at: path, options: .small)
                try log.append([UInt8(number)])
                try log.close()
            }
            let log = try Log.openReadOnly(at: path)
            #expect(Sight.of(log).records.map(\.payload) == [[0], [1], [2], [3], [4]])
            #expect(Sight.of(log).records.last!.position == 4096 + 4 * (32 + 24))
            var tailer = try log.tailer(from: .end)
            for number in (0..<5).reversed() { #expect(try tailer.previousSeen()?.payload == [UInt8(number)]) }
            #expect(try tailer.previousSeen() == nil)
        }
    }

    @Test func `a read of many stops at the count, at the end, and where the body throws`() throws {
        try withTemporaryDirectory { directory in
            let log = try makeLog(at: directory.appending("log"))
            let count = Int(try log.nextSequence)
            var tailer = try log.tailer()
            var seen: [UInt64] = []
            #expect(try tailer.read(upTo: 10) { seen.append($0.sequence) } == 10)
            #expect(try tailer.read(upTo: 0) { _ in } == 0)
            #expect(try tailer.read(upTo: 1000) { seen.append($0.sequence) } == count - 10)
            #expect(seen == Array(0..<UInt64(count)))
            #expect(try tailer.read(upTo: 5) { _ in } == 0)
            try tailer.seek(to: .first)
            let refusal = failure { try log.append(batch: [[UInt8]]()) }!
            #expect(
                code {
                    _ = try tailer.read(upTo: 9) { record throws(LogError) in if record.sequence == 3 { throw refusal }
                    }
                }
                    == .emptyBatch
            )
            #expect(tailer.sequence == 4)
        }
    }

    @Test func `records that went with their segment are reported, and reading goes on behind them`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try makeLog(at: path)
            let all = Sight.of(log).records
            let left = all.filter { $0.position > 2 * 65_536 }
            var early = try log.tailer()
            for name in ["0000000000000000.mlog", "0000000000010000.mlog"] {
                let names = try LogImage(of: path).files.keys.filter { $0 == name }
                #expect(names.count == 1)
                try removeFile(path.appending(name))
            }
            #expect(Sight.of(log).records == left)
            #expect(code { _ = try log.tailer(from: .sequence(left[0].sequence - 1)) } == .recordsGone)
            #expect(code { _ = try log.tailer(from: .position(Position(rawValue: 4096))) } == .recordsGone)
            #expect(try log.tailer(from: .sequence(left[0].sequence)).position.rawValue == left[0].position)
            // Who has the first segment mapped reads it to its end, then learns what is missing.
            let first = all.filter { $0.position < 65_536 }
            for record in first { #expect(try early.nextSeen() == record) }
            let error = try #require(failure { _ = try early.nextSeen() })
            #expect(error.code == .recordsGone)
            #expect(error.goneSequences == UInt64(first.count)..<left[0].sequence)
            #expect(try early.nextSeen() == left.first)
        }
    }
}

/// A sequence of numbers that is the same in each run.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
