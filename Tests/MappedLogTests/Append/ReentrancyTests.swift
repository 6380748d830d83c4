import Dispatch
import Glibc
import MappedLogTestSupport
import Synchronization
import SystemPackage
import Testing

@testable import MappedLog

/// What a thread may do inside an in-place append, and what others may meanwhile.
@Suite(.timeLimit(.minutes(10))) struct ReentrancyTests {
    @Test(arguments: LogMedium.allCases)
    func `in an in-place append everything that could wait for it is refused, and reading is not`(on medium: LogMedium)
        throws
    {
        try withTemporaryLogs(on: medium) { directory in
            let log = try Log.create(at: directory.appending("log"), options: medium.small)
            let other = try Log.create(at: directory.appending("other"), options: medium.small)
            try log.append([1])
            var tailer = try log.tailer()
            try log.append(reserving: 8) { output in
                for log in [log, other] {
                    #expect(code { try log.append([2]) } == .reentrant)
                    #expect(code { try log.append(batch: [[2], [3]]) } == .reentrant)
                    #expect(code { try log.append(reserving: 1) { _ in } } == .reentrant)
                    #expect(code { try log.sync() } == .reentrant)
                    #expect(code { try log.close() } == .reentrant)
                }
                #expect(code { _ = try tailer.wait(upTo: .seconds(1)) } == .reentrant)
                let seen = try [tailer.nextSeen()?.payload, tailer.nextSeen()?.payload]
                #expect(seen == [[1], nil])
                #expect(Sight.of(log).records.count == 1)
                let next = try log.nextSequence
                #expect(next == 1)
                output.append(7)
            }
            try log.append([8])
            try other.append([9])
            #expect(Sight.of(log).records.map(\.payload) == [[1], [7], [8]])
            #expect(Sight.of(other).records.map(\.payload) == [[9]])
            try log.close()
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `an append says that another writer does not go on, and goes on with it`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            let patient = try Log.open(at: path)
            let impatient = try Log.open(at: path, opening: OpenOptions(stallTimeout: .milliseconds(50)))
            let isInside = DispatchSemaphore(value: 0)
            let mayGo = DispatchSemaphore(value: 0)
            let slow = Thread.run {
                _ = try? log.append(reserving: 4) { output in
                    output.append(1)
                    isInside.signal()
                    mayGo.wait()
                }
            }
            isInside.wait()
            #expect(code { try impatient.append([2]) } == .writerStalled)
            #expect(code { try impatient.append(batch: [[2], [3]]) } == .writerStalled)
            #expect(code { try impatient.append(reserving: 1) { _ in } } == .writerStalled)
            // A tailer waits for nobody, and a sync has nothing to wait for.
            #expect(Sight.of(patient).records.isEmpty)
            try patient.sync()
            let waiting = Thread.run { _ = try? patient.append([5]) }
            mayGo.signal()
            slow.join()
            waiting.join()
            try impatient.append([6])
            #expect(Sight.of(log).records.map(\.payload) == [[1], [5], [6]])
        }
    }

    @Test func `an append waits for longer than its timeout where those before it go on`() throws {
        try withTemporaryLogs(on: .file) { directory in
            let opening = OpenOptions(stallTimeout: .milliseconds(400))
            let log = try Log.create(at: directory.appending("log"), opening: opening)
            let failures = Mutex<[LogError]>([])
            let threads = (0..<32).map { _ in
                Thread.run {
                    do throws(LogError) {
                        try log.append(reserving: 1) { _ in usleep(30_000) }
                    } catch {
                        failures.withLock { $0.append(error) }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(failures.withLock { $0 }.isEmpty)
            let count = try log.nextSequence
            #expect(count == 32)
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a close waits for the appends of other threads, and later ones are told`(on medium: LogMedium) throws {
        for _ in 0..<20 {
            try withTemporaryLogs(on: medium) { directory in
                let path = directory.appending("log")
                let log = try Log.create(at: path, options: medium.small)
                let appended = Atomic(0)
                let wrong = Atomic(0)
                let threads = (0..<4).map { _ in
                    Thread.run {
                        while true {
                            do throws(LogError) { try log.append([1, 2, 3]) } catch {
                                if error.code != .closed { wrong.add(1, ordering: .relaxed) }
                                return
                            }
                            appended.add(1, ordering: .relaxed)
                        }
                    }
                }
                while appended.load(ordering: .relaxed) < 100 {}
                try log.close()
                for thread in threads { thread.join() }
                #expect(wrong.load(ordering: .relaxed) == 0)
                let again = try Log.open(at: path)
                #expect(again.recovery?.cleanClose == true)
                #expect(try again.nextSequence == UInt64(appended.load(ordering: .relaxed)))
            }
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `an open says that somebody else recovers the log, and reading goes on meanwhile`(on medium: LogMedium) throws
    {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            try log.append([1])
            try log.close()
            let opening = OpenOptions(recoveryTimeout: .milliseconds(50))
            do {
                // Another open file description holds the gate, as another process would.
                let gate = try LogPlace(at: LogLocation(path)).medium.openLock()
                try gate.lockGate(timeout: .seconds(1))
                let error = try #require(failure { _ = try Log.open(at: path, opening: opening) })
                #expect(error.code == .recovering)
                #expect(error.file?.lastComponent == "lock")
                #expect(code { _ = try Log.openOrCreate(at: path, opening: opening) } == .recovering)
                #expect(Sight.of(path).records.map(\.payload) == [[1]])
                gate.unlockGate()
            }
            let again = try Log.open(at: path, opening: opening)
            #expect(again.recovery?.cleanClose == true)
        }
    }
}
