import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CMappedLog

/// Tailers that wait, in threads and in tasks.
///
/// The bounds are generous: they tell a hang, not a speed.
@Suite(.timeLimit(.minutes(10))) struct WaitingTests {
    @Test(arguments: [Visibility.committed, .durable], LogMedium.allCases)
    func `a waiting tailer is woken by what it may see`(visibility: Visibility, on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            let reader = try Log.openReadOnly(at: path)
            let count = 50
            let writer = Thread.run {
                for number in 0..<count {
                    _ = try? log.append(payload(number, 3000))
                    if visibility == .durable { try? log.sync() }
                }
            }
            var tailer = try reader.tailer(visibility: visibility)
            for number in 0..<count {
                #expect(try tailer.wait(upTo: .seconds(60)))
                #expect(try tailer.nextSeen()?.payload == payload(number, 3000))
            }
            writer.join()
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a wait without news ends when its time is over, and costs no processor`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            try log.append([1])
            try log.sync()
            for visibility in [Visibility.committed, .durable] {
                var tailer = try log.tailer(from: .end, visibility: visibility)
                let before = threadTime()
                let start = ContinuousClock.now
                #expect(try !tailer.wait(upTo: .milliseconds(400)))
                #expect(ContinuousClock.now - start >= .milliseconds(400))
                #expect(threadTime() - before < .milliseconds(200))
                #expect(try !tailer.wait(upTo: .zero))
            }
        }
    }

    /// The processor time of this thread.
    private func threadTime() -> Duration {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    @Test func `what is not durable is not seen by those who ask for that`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            var tailer = try log.tailer(visibility: .durable)
            try log.append([1])
            try log.append(batch: [[2], [3]])
            #expect(try tailer.nextSeen() == nil)
            #expect(Sight.of(log).records.count == 3)
            #expect(try log.durablePosition.rawValue == 4096)
            try log.sync()
            #expect(try log.durablePosition == log.endPosition)
            for number in 1...3 { #expect(try tailer.nextSeen()?.payload == [UInt8(number)]) }
            try log.append([4])
            #expect(try tailer.nextSeen() == nil)
            #expect(try tailer.previousSeen()?.payload == [3])
            try log.sync()
            #expect(try tailer.nextSeen()?.payload == [3])
            #expect(try tailer.nextSeen()?.payload == [4])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a stream follows the log until its task is cancelled`(on medium: LogMedium) async throws {
        try await withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            try log.append(payload(0, 10))
            let reader = try Log.openReadOnly(at: path)
            let count = 100
            let (numbers, continuation) = AsyncStream<Int>.makeStream()
            let follower = Task {
                var seen: [RetainedRecord] = []
                for try await record in reader.records() {
                    seen.append(record)
                    continuation.yield(seen.count)
                }
                return seen
            }
            for number in 1..<count { try log.append(payload(number, 3000)) }
            for await number in numbers where number == count { break }
            follower.cancel()
            let seen = try await follower.value
            #expect(seen.map { SeenRecord($0).payload } == (0..<count).map { payload($0, $0 == 0 ? 10 : 3000) })
            #expect(seen.map(\.sequence) == Array(0..<UInt64(count)))
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a stream of what is durable waits for the sync`(on medium: LogMedium) async throws {
        try await withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            try log.append([1])
            let first = Task { () throws -> [UInt8]? in
                for try await record in log.records(visibility: .durable) { return SeenRecord(record).payload }
                return nil
            }
            try await log.sync()
            #expect(try log.durablePosition == log.endPosition)
            #expect(try await first.value == [1])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a stream reports a start that is not in the log`(on medium: LogMedium) async throws {
        try await withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            var iterator = log.records(from: .sequence(5)).makeAsyncIterator()
            var found: LogError.Code?
            do { _ = try await iterator.next() } catch { found = (error as? LogError)?.code }
            #expect(found == .outOfRange)
        }
    }

    @Test(arguments: [LogMedium.file, .sharedMemory])
    func `who waits for a log that was made anew says so`(on medium: LogMedium) async throws {
        try await withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let first = try Log.create(at: path, options: medium.small)
            try first.append([1])
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            #expect(try tailer.nextSeen() != nil)
            var iterator = reader.records().makeAsyncIterator()
            #expect(try await iterator.next(isolation: nil) != nil)
            try first.close()
            try Maintenance.destroy(at: LogLocation(path))
            let second = try Log.create(at: path, options: medium.small)
            try second.append([2])
            #expect(failure { _ = try tailer.wait(upTo: .seconds(10)) }?.code == .moved)
            do throws(LogError) {
                _ = try await iterator.next(isolation: nil)
                Issue.record("nothing came, and nobody said so")
            } catch {
                #expect(error.code == .moved, "\(error)")
            }
            try second.close()
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `retained records outlive the tailer, the log and its files`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            var kept: [RetainedRecord] = []
            do {
                let log = try Log.create(at: path, options: medium.small)
                for number in 0..<40 { try log.append(payload(number, 5000)) }
                var tailer = try log.tailer()
                while let record = try tailer.retainedNext() { kept.append(record) }
                try log.close()
            }
            try Maintenance.destroy(at: LogLocation(path))
            #expect(kept.map { SeenRecord($0).payload } == (0..<40).map { payload($0, 5000) })
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `syncs that meet a close are answered`(on medium: LogMedium) async throws {
        for _ in 0..<20 {
            try await withTemporaryLogs(on: medium) { directory in
                let log = try Log.create(at: directory.appending("log"), options: medium.small)
                try log.append([1])
                await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            do throws(LogError) { try await log.sync() } catch { return error.code == .closed }
                            return true
                        }
                    }
                    group.addTask { (try? log.close()) != nil }
                    for await isRight in group { #expect(isRight) }
                }
            }
        }
    }
}
