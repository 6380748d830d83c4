import Foundation
import MappedLog
import SystemPackage
import Testing

/// Tests of `mlog append` while another writer holds the lock and doesn't go on.
@Suite(.timeLimit(.minutes(2)))
struct StallTests {
    @Test("Ctrl-C is served while the lock is waited for")
    func endsOnInterrupt() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let stalled = try await StalledWriter(of: log)
        defer { stalled.goOn() }
        let outcome = try await RunningMlog.run("append", log.path, in: log.directory) { append in
            try await append.write("two\n")
            try await Task.sleep(for: .seconds(1))
            try append.interrupt()
        }
        #expect(outcome.status == 130)
        #expect(
            outcome.errors == """
                mlog: interrupted while another writer held the append lock: the first 0 records of standard input are \
                appended, from the next on none is

                """
        )
    }

    @Test("A stall that ends within ten seconds does no harm", arguments: [1, 10])
    func survivesStall(batch: Int) async throws {
        let log = try await TemporaryLog(of: ["one"])
        let stalled = try await StalledWriter(of: log)
        let outcome = try await RunningMlog.run("append", log.path, "--batch", "\(batch)", in: log.directory) {
            append in
            try await append.write("two\nthree\n")
            try await append.finishInput()
            try await Task.sleep(for: .seconds(2))
            stalled.goOn()
        }
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(try await Mlog.run("tail", log.path).lines == ["one", "stalled", "two", "three"])
    }

    @Test("A stall that doesn't end is one line")
    func reportsStall() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let stalled = try await StalledWriter(of: log)
        defer { stalled.goOn() }
        let outcome = try await Mlog.shell("echo two | $mlog append \(log.path)")
        #expect(outcome.status == 1)
        #expect(outcome.errors.hasPrefix("mlog: another writer holds the append lock"))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }
}

/// A writer, in this process, that stands still within an append.
private struct StalledWriter {
    private let release: String

    init(of log: TemporaryLog) async throws {
        let path = FilePath(log.path)
        let (held, release) = (log.directory + "/held", log.directory + "/release")
        let directory = log.directory
        self.release = release
        Thread.detachNewThread {
            _ = try? Log.open(at: path).append(reserving: 7) { record in
                for byte in "stalled".utf8 { record.append(byte) }
                _ = FileManager.default.createFile(atPath: held, contents: nil)
                while FileManager.default.fileExists(atPath: directory),
                    !FileManager.default.fileExists(atPath: release)
                {
                    Thread.sleep(forTimeInterval: 0.01)
                }
            }
        }
        try await eventually("the lock is held") { FileManager.default.fileExists(atPath: held) }
    }

    func goOn() {
        _ = FileManager.default.createFile(atPath: release, contents: nil)
    }
}
