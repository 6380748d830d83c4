import MappedLog
import MappedLogTestSupport
import Synchronization
import SystemPackage
import Testing

/// Batches: all of their records, or none.
@Suite struct BatchTests {
    @Test(arguments: LogMedium.allCases)
    func `a batch's records follow each other`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            try log.append([9])
            let batch = try log.append(batch: [[1], [], payload(2, 100), [3]])
            #expect(batch.count == 4)
            #expect(batch.first.sequence == 1 && batch.last.sequence == 4)
            let seen = Sight.of(log).records
            #expect(seen.map(\.payload) == [[9], [1], [], payload(2, 100), [3]])
            #expect(seen[1].position == batch.first.position.rawValue)
            #expect(seen[2].position == batch.first.end.rawValue)
            #expect(seen[4].position == batch.last.position.rawValue)
            #expect(try log.endPosition == batch.last.end)
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a batch of one is a record like any other`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            let batch = try log.append(batch: [Array("one".utf8)])
            #expect(batch.first == batch.last && batch.count == 1)
            #expect(Sight.of(log).records.map(\.payload) == [Array("one".utf8)])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `an empty batch is refused`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            #expect(code { try log.append(batch: [[UInt8]]()) } == .emptyBatch)
            #expect(try log.nextSequence == 0)
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a batch that does not fit behind the last record goes whole into the next segment`(on medium: LogMedium)
        throws
    {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            try log.append(payload(0, 30_000))
            let batch = try log.append(batch: (0..<4).map { payload($0, 10_000) })
            #expect(batch.first.position.rawValue == 65_536 + 4096)
            #expect(batch.last.end.rawValue < 2 * 65_536)
            #expect(Sight.of(log).records.map(\.payload.count) == [30_000, 10_000, 10_000, 10_000, 10_000])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a batch as large as a segment fits, and one frame more is refused`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            // dataEnd − 4096 − 24 bytes hold 1791 frames of 32.
            try log.append(batch: (0..<1791).map { [UInt8($0 % 256)] })
            #expect(code { try log.append(batch: (0..<1792).map { [UInt8($0 % 256)] }) } == .recordTooLarge)
            #expect(try log.nextSequence == 1791)
            try log.append(batch: (0..<1791).map { [UInt8($0 % 256)] })
            #expect(Sight.of(log).records.map(\.payload) == (0..<3582).map { [UInt8($0 % 1791 % 256)] })
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: LogMedium.allCases)
    func `a tailer beside a writer never sees a part of a batch`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            let batches = 2000
            let done = Atomic(false)
            let writer = Thread.run {
                for number in 0..<batches {
                    _ = try? log.append(batch: (0..<5).map { [UInt8(number % 256), UInt8($0)] })
                }
                done.store(true, ordering: .sequentiallyConsistent)
            }
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            var seen = 0
            while seen < batches * 5 {
                let wasDone = done.load(ordering: .sequentiallyConsistent)
                // What is seen at once ends with a batch.
                var run = 0
                while let record = try tailer.nextSeen() {
                    #expect(record.payload == [UInt8(seen / 5 % 256), UInt8(seen % 5)])
                    seen += 1
                    run += 1
                    if seen % 5 == 0 { break }
                }
                #expect(run == 0 || run == 5)
                if wasDone && run == 0 { break }
            }
            writer.join()
            #expect(seen == batches * 5)
        }
    }

    /// A collection of somebody else's making may say anything of its count.
    @Test(arguments: [Int.min, -1, 0, 1, 4, 1 << 16, 1 << 60, 1 << 61, .max])
    func `a count that is wrong is no more than a hint`(claimed: Int) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            let payloads: [[UInt8]] = [[1], [2, 2], [3, 3, 3]]
            try log.append(batch: Claiming(elements: payloads, count: claimed))
            #expect(Sight.of(log).records.map(\.payload) == payloads)
            try log.append(batch: [Claiming(elements: [4, 4], count: claimed)])
            try log.append(Claiming(elements: [5, 5], count: claimed))
            #expect(Sight.of(log).records.suffix(2).map(\.payload) == [[4, 4], [5, 5]])
        }
    }

    @Test func `a batch beyond all bounds is refused before it is copied`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            let mebibyte = [UInt8](repeating: 1, count: 1 << 20)
            #expect(code { try log.append(batch: repeatElement(mebibyte, count: 1 << 40)) } == .recordTooLarge)
            #expect(code { try log.append(batch: repeatElement([1], count: 1 << 40)) } == .recordTooLarge)
            #expect(code { try log.append(batch: repeatElement([], count: 1 << 40)) } == .recordTooLarge)
            #expect(code { try log.append(batch: [repeatElement(1, count: 1 << 50)]) } == .recordTooLarge)
            #expect(code { try log.append(repeatElement(1, count: 1 << 50)) } == .recordTooLarge)
            #expect(Sight.of(log).records.isEmpty)
        }
    }
}

/// Elements, and a count that needn't be theirs.
private struct Claiming<Element: Sendable>: Collection, Sendable {
    let elements: [Element]
    let count: Int
    var startIndex: Int { 0 }
    var endIndex: Int { elements.count }
    subscript(position: Int) -> Element { elements[position] }
    func index(after index: Int) -> Int { index + 1 }
}
