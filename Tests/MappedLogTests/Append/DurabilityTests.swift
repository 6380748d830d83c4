import Glibc
import SystemPackage
import Testing

@testable import MappedLog

/// When records become durable, and what says so.
@Suite(.timeLimit(.minutes(10))) struct DurabilityTests {
    @Test func `never means not before a sync`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            for _ in 0..<20 { try log.append(payload(0, 1000)) }
            #expect(try log.durablePosition.rawValue == 4096)
            try log.sync()
            #expect(try log.durablePosition == log.endPosition)
        }
    }

    @Test func `every append means that each returns durable`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let opening = OpenOptions(durability: .everyAppend)
            let log = try Log.create(at: directory.appending("log"), options: .small, opening: opening)
            for number in 0..<60 {
                let end = try log.append(payload(number, 3000)).end
                #expect(try log.durablePosition >= end)
            }
            let end = try log.append(batch: [[1], [2]]).last.end
            #expect(try log.durablePosition >= end)
            let last = try log.append(reserving: 8) { _ in }.end
            #expect(try log.durablePosition >= last)
        }
    }

    @Test func `bytes bounds how much is not durable`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let opening = OpenOptions(durability: .bytes(10_000))
            let log = try Log.create(at: directory.appending("log"), options: .small, opening: opening)
            var flushes = 0
            var before = try log.durablePosition
            for number in 0..<100 {
                let end = try log.append(payload(number, 1000)).end
                let durable = try log.durablePosition
                #expect(durable <= end)
                #expect(end.rawValue < durable.rawValue + 10_000 || end.rawValue / 65_536 > durable.rawValue / 65_536)
                if durable != before { flushes += 1 }
                before = durable
            }
            #expect(flushes > 3 && flushes < 30)
        }
    }

    @Test func `interval flushes without being asked`() throws {
        try withTemporaryDirectory { directory in
            let opening = OpenOptions(durability: .interval(.milliseconds(1)))
            let log = try Log.create(at: directory.appending("log"), options: .small, opening: opening)
            for number in 0..<3 {
                try log.append(payload(number, 100))
                var tailer = try log.tailer(from: .sequence(UInt64(number)), visibility: .durable)
                #expect(try tailer.wait(upTo: .seconds(60)))
            }
        }
    }

    @Test func `the durability that the log was created with counts where an open says nothing`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10, durability: .everyAppend)).close()
            let log = try Log.open(at: path)
            let end = try log.append([1]).end
            #expect(try log.durablePosition >= end)
            let lazy = try Log.open(at: path, opening: OpenOptions(durability: .never))
            let later = try lazy.append([2]).end
            #expect(try lazy.durablePosition < later)
        }
    }

    @Test func `each durability reads back from its text`() throws {
        let all: [(Durability, String)] = [
            (.never, "never"), (.everyAppend, "always"), (.interval(.milliseconds(10)), "10ms"),
            (.interval(.seconds(3)), "3s"), (.interval(.microseconds(1500)), "1500us"), (.bytes(1), "1B"),
            (.bytes(1 << 20), "1MiB"), (.bytes(3 << 10), "3KiB"), (.bytes(5 << 30), "5GiB"),
        ]
        for (durability, text) in all {
            #expect(durability.settingsText == text)
            #expect(Durability(settingsText: text) == durability)
        }
        for text in ["", "ms", "0ms", "-1ms", "1", "1 ms", "1h", "18446744073709551615GiB", "1.5s"] {
            #expect(Durability(settingsText: text) == nil, "\(text)")
        }
    }

    @Test func `a close leaves one mark, and only where there is something to state`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try Log.create(at: path, options: .small).close()
            let empty = try Log.open(at: path)
            #expect(try empty.endPosition.rawValue == 4096)
            try empty.append([1])
            try empty.close()
            for _ in 0..<3 { try Log.open(at: path).close() }
            let image = try LogImage(of: path)
            let segment = SegmentImage(image)
            #expect(segment.frames.map { segment.bytes[$0 + 4] } == [1, 3])
            // The mark states that all before it is durable, without the help of live/.
            try image.withoutLive.withFiles { copy in
                let durable = try Log.openReadOnly(at: copy).durablePosition
                #expect(durable.rawValue == UInt64(segment.frames[1]))
            }
        }
    }

    @Test func `a log that falls idle gets its mark without being closed`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            let end = try log.append([1]).end
            try log.sync()
            var hasMark = false
            let deadline = ContinuousClock.now + .seconds(60)
            while !hasMark && ContinuousClock.now < deadline {
                usleep(20_000)
                hasMark = try log.endPosition > end
            }
            #expect(hasMark)
            let segment = SegmentImage(try LogImage(of: path))
            #expect(segment.frames.map { segment.bytes[$0 + 4] } == [1, 3])
        }
    }
}
