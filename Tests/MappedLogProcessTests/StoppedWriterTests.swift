import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CTestSupport

extension ProcessTests {
    /// A writer that is stopped in the middle of an append, with the lock held.
    @Suite struct StoppedWriters {
        @Test(arguments: [SIGCONT, SIGKILL], LogMedium.allCases)
        func `a stopped writer stops appends but no tailer, until it is continued or killed`(
            _ ending: Int32,
            on medium: LogMedium
        ) throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never), on: medium)
            let log = try Log.open(at: scene.log, opening: OpenOptions(stallTimeout: .milliseconds(100)))
            let ahead: UInt64 = 1000
            let own = scene.entry(for: 50)
            for counter in 0..<ahead { try log.append([UInt8].record(writer: 50, counter: counter, byteCount: 100)) }
            scene.board[own, .begun] = ahead
            scene.board[own, .acknowledged] = ahead

            let entry = scene.entry(for: 10)
            let stopped = try scene.worker("append-and-stop", ["--entry", "\(entry)", "--writer", "10"])
            #expect(try stopped.line(within: 20) == "ready")
            scene.board[.go] = 1
            try scene.wait(for: "the stop") { scene.board[.signal] == 1 && stopped.state == "T" }

            // Reading goes on: who was there, and who comes now.
            let tailers = try [scene.tailer(), scene.tailer(["--read-only"])]
            try scene.wait(for: "all that is committed") {
                tailers.allSatisfy { scene.board[$0.entry, .read] == ahead }
            }
            #expect(try log.nextSequence == ahead)
            // Appending doesn't.
            #expect(throws: LogError.self) { try log.append([1]) }
            do throws(LogError) {
                try log.append([1])
                Issue.record("an append while another writer is in the middle of one")
            } catch { #expect(error.code == .writerStalled, "\(error)") }
            let appender = try scene.appender(0, threads: 2, ["--stall-milliseconds", "50", "--mix", "mixed"])
            #expect(try appender.process.line(within: 20) == "ready")
            try scene.wait(for: "stalls") { appender.entries.allSatisfy { scene.board[$0, .stalls] > 1 } }
            #expect(scene.acknowledged(appender) == 0)

            let time = test_now_ns()
            stopped.send(ending)
            try scene.wait(for: "the others' appends") { scene.acknowledged(appender) > 100 }
            print("appends go on \(Double(test_now_ns() - time) / 1e6) ms after signal \(ending)")
            #expect(try stopped.wait(upTo: 20) == (ending == SIGCONT ? .exited(0) : .killed(SIGKILL)))
            let last = [UInt8].record(writer: 50, counter: ahead, byteCount: 100)
            scene.board[own, .begun] = ahead + 1
            try log.append(last)
            scene.board[own, .acknowledged] = ahead + 1
            scene.board[.stop] = 1
            #expect(try appender.process.wait(upTo: 20) == .exited(0))

            let records = try log.nextSequence
            let reports = try scene.finish(tailers, records: records)
            #expect(reports[0] == reports[1])
            try scene.check(reports[0])
            #expect((reports[0].runs[10] ?? []).count == (ending == SIGCONT ? 1 : 0))
            try log.close()
            #expect(try reopened(scene).cleanClose, "nothing was left to recover")
        }

        @Test(arguments: [SIGCONT, SIGKILL])
        func `a process that is stopped in a flush stops flushes for the stall timeout, and no append`(
            _ ending: Int32
        ) throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never))
            let log = try Log.open(at: scene.log, opening: OpenOptions(stallTimeout: .milliseconds(100)))
            let always = OpenOptions(durability: .everyAppend, stallTimeout: .milliseconds(100))
            let flushing = try Log.open(at: scene.log, opening: always)
            let stopped = try scene.worker("hold-flush-lock")
            try scene.wait(for: "the stop") { scene.board[.signal] == 1 && stopped.state == "T" }
            let time = test_now_ns()
            try log.append([1])
            #expect(code { try log.sync() } == .flushStalled)
            #expect(code { try flushing.append([2]) } == .flushStalled)
            #expect(try log.nextSequence == 2, "what isn't flushed is appended all the same")
            // A command that flushes each append serves a signal.
            let input = scene.directory.appending("input").string
            let command = "echo three > '\(input)'; exec '\(builtProgram("mlog"))' append --durability always "
            let append = try ChildProcess(["/bin/sh", "-c", "\(command) '\(scene.log)' < '\(input)' 2>&1"])
            try scene.wait(for: "its record") { try log.nextSequence == 3 }
            append.send(SIGTERM)
            #expect(try append.wait(upTo: 8) == .exited(128 + SIGTERM), "\(append.lastLine)")
            #expect(test_now_ns() - time < 60_000_000_000)
            stopped.send(ending)
            _ = try stopped.wait(upTo: 20)
            try flushing.append([4])
            try log.sync()
            #expect(try log.durablePosition == log.endPosition)
            #expect(try log.nextSequence == 4)
            try flushing.close()
            try log.close()
        }

        @Test func `a flush that takes longer than the stall timeout is waited for`() throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never))
            let log = try Log.open(at: scene.log, opening: OpenOptions(stallTimeout: .milliseconds(50)))
            try log.append([1])
            let slow = try scene.worker("hold-flush-lock", ["--hold", "1000000000"])
            try scene.wait(for: "the flush") { scene.board[.signal] == 1 }
            let time = test_now_ns()
            try log.sync()
            #expect(test_now_ns() - time > 300_000_000, "it was waited for")
            #expect(try slow.wait(upTo: 20) == .exited(0))
            try log.close()
        }

        private func code(_ body: () throws -> Void) -> LogError.Code? {
            do { try body() } catch { return (error as? LogError)?.code }
            return nil
        }

        private func reopened(_ scene: Scene) throws -> RecoveryReport {
            let log = try Log.open(at: scene.log)
            try log.close()
            return try #require(log.recovery)
        }

        @Test(arguments: LogMedium.allCases)
        func `a stopped process that holds no lock stops nobody`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let stopped = try scene.appender(0, ["--count", "10"])
            let lone = try scene.appender(2, ["--pace", "100000000"])
            #expect(try stopped.process.wait(upTo: 20) == .exited(0))
            try scene.wait(for: "an append, then a rest") {
                scene.acknowledged(lone) > 0 && lone.process.threadStates.allSatisfy { $0 == "S" }
            }
            lone.process.send(SIGSTOP)
            try scene.wait(for: "the stop") { lone.process.state == "T" }
            let log = try Log.open(at: scene.log)
            for counter in UInt8(0)..<100 { try log.append([counter]) }
            try log.sync()
            try log.close()
            #expect(log.recovery == nil, "another writer is alive, though stopped")
        }
    }
}
