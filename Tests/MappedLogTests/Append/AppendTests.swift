import Foundation
import MappedLogTestSupport
import Synchronization
import SystemPackage
import Testing

@testable import MappedLog

/// What appends take and give back.
@Suite struct AppendTests {
    @Test(arguments: LogMedium.allCases)
    func `every form of bytes is appended as it is`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
            try log.append(bytes)
            try log.append(Data(bytes))
            try log.append("grün".utf8)
            try log.append(bytes[2..<5])
            try log.append(Data(bytes)[3...])
            try unsafe log.append(bytes.span.bytes)
            try log.append(bytes.lazy.map { $0 &* 2 }.filter { $0 > 4 })
            try log.append(bytes.reversed())
            try log.append(CollectionOfOne(7))
            try log.append("text".utf8.prefix(2))
            let expected: [[UInt8]] = [
                bytes, bytes, Array("grün".utf8), [3, 4, 5], [4, 5, 6, 7, 8, 9], bytes, [6, 8, 10, 12, 14, 16, 18],
                bytes.reversed(), [7], Array("te".utf8),
            ]
            #expect(Sight.of(log).records.map(\.payload) == expected)
        }
    }

    /// Nobody ever appends as many: the log's first segment is made to say so.
    @Test func `the last sequence there is can be appended, and no other`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            try Log.create(at: path, options: LogMedium.file.small).close()
            let last = SegmentGeometry.sequenceLimit - 1
            let segment = try WritableSegments(LogPlace(at: LogLocation(path)), .never).segment(0)
            segment.store(ActivationLine(baseSequence: last - 9, largestTimestampBefore: .min))
            try FileManager.default.removeItem(atPath: path.appending("live").string)
            let log = try Log.open(at: path)
            for number in 0..<9 {
                #expect(try log.append([UInt8(number)]).sequence == last - 9 + UInt64(number))
            }
            #expect(code { try log.append(batch: [[9], [10]]) } == .outOfRange)
            #expect(try log.append(batch: [[9]]).last.sequence == last)
            #expect(code { try log.append([10]) } == .outOfRange)
            #expect(code { try log.append(batch: [[10]]) } == .outOfRange)
            #expect(code { try log.append(reserving: 1) { $0.append(10) } } == .outOfRange)
            try log.close()
            let again = try Log.open(at: path)
            #expect(again.recovery?.cleanClose == true)
            #expect(Sight.of(again).records.map(\.payload) == (0..<10).map { [$0] })
        }
    }

    /// Of words that processes share any may be wrong: a sum with this one would wrap.
    @Test func `nothing is stored where a tail says that went back behind the active segment`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try Log.create(at: directory.appending("log"), options: LogMedium.file.small)
            var last = try log.append([1])
            while last.position.rawValue < 1 << 17 { last = try log.append(payload(0, 1000)) }
            let control = try #require(log.writer).appender.control
            let tail = control.slotWords(control.generation.load()).tail
            let right = tail.load()
            let before = Sight.of(log).records
            let base = try #require(log.writer).appender.geometry.base(of: right)
            for wrong in [base - 8, base - 64, base - 5000, 0] {
                tail.store(wrong)
                #expect(code { try log.append(payload(1, 100)) } == .damaged, "\(wrong)")
                #expect(code { try log.append(batch: [[1], [2]]) } == .damaged)
                #expect(code { try log.append(reserving: 100) { $0.append(3) } } == .damaged)
            }
            tail.store(right)
            try log.append([2])
            #expect(Sight.of(log).records.dropLast() == before[...])
            // As the error says: who opens it next finds the tail by the frames.
            control.slotWords(control.generation.load()).tail.store(base - 64)
            #expect(code { try log.append([3]) } == .damaged)
            try? log.close()
            let again = try Log.open(at: directory.appending("log"))
            #expect(try again.append([3]).sequence == UInt64(before.count) + 1)
            #expect(Sight.of(again).records.map(\.payload).suffix(2) == [[2], [3]])
        }
    }

    /// Who comes first into a block writes its index entry, and remembers that; somebody else may have gone on since.
    @Test func `each block has its index entry, whoever appends and however`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let logs = [try Log.create(at: path, options: LogOptions(segmentSize: 1 << 20)), try Log.open(at: path)]
            for number in 0..<2000 {
                let log = logs[number / 7 % 2]
                switch number % 5 {
                case 0: try log.append(batch: [payload(number, 300), payload(number, 20_000)])
                case 1: try log.append(reserving: 30_000) { $0.append(1) }
                default: try log.append(payload(number, number % 40 == 2 ? 70_000 : 100))
                }
            }
            for log in logs { try log.close() }
            let report = try Maintenance.verify(at: path)
            #expect(report.findings == [])
            #expect(report.records == 2400)
        }
    }

    /// A short one is summed up as it is copied, a longer one in pieces of 16 KiB.
    @Test func `a record of any length has its checksum`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 1 << 20))
            let close = [0...600, 4090...4100, 16_370...16_400].flatMap { $0 }
            let lengths = close + stride(from: 601, to: 34_000, by: 67)
            for length in lengths { try log.append(payload(length, length)) }
            #expect(Sight.of(log).records.map(\.payload) == lengths.map { payload($0, $0) })
            try log.close()
            let report = try Maintenance.verify(at: path)
            #expect(report.findings == [])
            #expect(report.records == UInt64(lengths.count))
        }
    }

    /// In shared memory they may be another process's; what the log holds of them is anybody's guess, but whole.
    @Test(.disabled(if: Sanitizer.name == "thread", "it is a data race by intent"), arguments: [200, 4096, 20_000])
    func `bytes that change while they are appended make no bad record`(byteCount: Int) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 1 << 20))
            let bytes = ChangingBytes(byteCount)
            for _ in 0..<(20 << 20) / byteCount { try bytes.append(to: log) }
            bytes.end()
            try log.close()
            #expect(try Maintenance.verify(at: path).findings == [])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a record may be empty, or as large as the log says, and no larger`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            #expect(log.maximumRecordSize == 57_296)
            try log.append([UInt8]())
            try log.append(payload(1, log.maximumRecordSize))
            try log.append([])
            let error = try #require(failure { try log.append(payload(2, log.maximumRecordSize + 1)) })
            #expect(error.code == .recordTooLarge)
            #expect(error.file == log.path && error.found?.contains("57297") == true)
            #expect(code { try log.append(reserving: log.maximumRecordSize + 1) { _ in } } == .recordTooLarge)
            #expect(code { try log.append(reserving: -1) { _ in } } == .recordTooLarge)
            #expect(code { try log.append(reserving: .max) { _ in } } == .recordTooLarge)
            #expect(Sight.of(log).records.map(\.payload.count) == [0, 57_296, 0])
            #expect(Sight.of(log).records[1].payload == payload(1, 57_296))
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `sequences have no gaps, and positions lead from frame to frame across segments`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            var appended: [Appended] = []
            for number in 0..<200 { appended.append(try log.append(payload(number, number * 37 % 5000))) }
            #expect(appended.map(\.sequence) == Array(0..<200))
            #expect(appended[0].position == Position(rawValue: 4096))
            for (record, next) in zip(appended, appended.dropFirst()) {
                let isRolled = next.position.rawValue / 65_536 > record.position.rawValue / 65_536
                #expect(isRolled ? next.position.rawValue % 65_536 == 4096 : next.position == record.end)
            }
            #expect(appended.last!.position.rawValue > 65_536)
            #expect(try log.endPosition == appended.last!.end)
            #expect(try log.nextSequence == 200)
            let seen = Sight.of(log).records
            #expect(seen.map(\.position) == appended.map(\.position.rawValue))
            #expect(seen.map(\.payload) == (0..<200).map { payload($0, $0 * 37 % 5000) })
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `an append in place may use fewer bytes than it reserved`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            let appended = try log.append(reserving: 1000) { output in
                for byte in UInt8(1)...9 { output.append(byte) }
            }
            #expect(appended.end.rawValue - appended.position.rawValue == 40)
            try log.append(reserving: 8) { _ in }
            try log.append(reserving: 3) { output in for _ in 0..<3 { output.append(0xAB) } }
            #expect(Sight.of(log).records.map(\.payload) == [Array(1...9), [], [0xAB, 0xAB, 0xAB]])
            // What was reserved and not used is 0 again.
            let end = Int(try log.endPosition.rawValue)
            #expect(try segmentBytes(of: path)[end..<end + 2000].allSatisfy { $0 == 0 })
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `an append in place that fails leaves nothing behind`(on medium: LogMedium) throws {
        struct Refusal: Error, Equatable {}
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            try log.append([1])
            let end = try log.endPosition
            let error = try #require(
                failure {
                    try log.append(reserving: 500) { output in
                        for _ in 0..<400 { output.append(0xEE) }
                        throw Refusal()
                    }
                }
            )
            #expect(error.code == .fillFailed)
            #expect(error.underlyingError as? Refusal == Refusal())
            #expect(try log.endPosition == end)
            let file = try segmentBytes(of: path)
            #expect(file[Int(end.rawValue)..<61_440].allSatisfy { $0 == 0 })
            let next = try log.append([2])
            #expect(next.sequence == 1 && next.position == end)
            #expect(Sight.of(log).records.map(\.payload) == [[1], [2]])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `timestamps are the clock's or the caller's, whichever way they go`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let opening = OpenOptions(clock: .precise)
            let log = try Log.create(at: directory.appending("log"), options: medium.small, opening: opening)
            let before = Timestamp.now
            try log.append([0])
            let after = Timestamp.now
            for time in [Int64.max, .min, 0, -1, 5] {
                try log.append([1], timestamp: Timestamp(nanosecondsSince1970: time))
            }
            try log.append(reserving: 1, timestamp: Timestamp(nanosecondsSince1970: 77)) { _ in }
            try log.append(batch: [[1], [2]], timestamp: Timestamp(nanosecondsSince1970: 78))
            let times = Sight.of(log).records.map(\.timestamp)
            #expect((before.nanosecondsSince1970...after.nanosecondsSince1970).contains(times[0]))
            #expect(times.dropFirst() == [.max, .min, 0, -1, 5, 77, 78, 78])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `the coarse clock is the system's, to a tenth of a second`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            let before = Timestamp.now.nanosecondsSince1970
            try log.append([0])
            let time = try #require(Sight.of(log).records.first?.timestamp)
            #expect(time > before - 100_000_000 && time <= Timestamp.now.nanosecondsSince1970)
        }
    }
}

/// Bytes that a thread changes, one after the other, until the end.
@safe private final class ChangingBytes: @unchecked Sendable {
    private let buffer: UnsafeMutableRawBufferPointer
    private let mustEnd = Atomic(false)
    private var thread: Thread?

    init(_ count: Int) {
        unsafe buffer = .allocate(byteCount: count, alignment: 8)
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
        thread = .run { [self] in
            var at = 0
            while !mustEnd.load(ordering: .relaxed) {
                unsafe buffer[at] &+= 1
                at = (at + 9) % count
            }
        }
    }

    func append(to log: Log) throws { try unsafe log.append(UnsafeRawBufferPointer(buffer).bytes) }

    func end() {
        mustEnd.store(true, ordering: .relaxed)
        thread?.join()
    }

    deinit { unsafe buffer.deallocate() }
}
