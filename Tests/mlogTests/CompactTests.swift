import Foundation
import Testing

/// Tests of `mlog compact` and `mlog restore`.
struct CompactTests {
    private let lines = (1...3_000).map { "record \($0) \(String(repeating: "x", count: 100))" }

    private func segments(_ log: String, _ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: log).filter { $0.dropFirst(16) == suffix }.sorted()
    }

    @Test("Segments are compacted, read, verified, and restored one by one")
    func compactsAndRestores() async throws {
        let log = try await TemporaryLog(of: lines)
        let raw = try segments(log.path, ".mlog").count
        let dry = try await Mlog.run("compact", "--dry-run", log.path)
        #expect(dry.status == 0)
        // The active segment, and the prepared one if it is there already.
        let sealed = dry.lines.count
        #expect(raw - sealed == 1 || raw - sealed == 2)
        #expect(try segments(log.path, ".mlog").count == raw)

        let outcome = try await Mlog.run("compact", "--level", "9", "--block-size", "64KiB", "--jobs", "2", log.path)
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.lines.last?.hasPrefix("compacted \(sealed) segments: ") == true)
        let compacted = try segments(log.path, ".mlog.lz4")
        #expect(compacted.count == sealed)
        #expect(try await Mlog.run("tail", "--from", "first", log.path).lines == lines)
        #expect(try await Mlog.run("tail", "--reverse", "-n", "3000", log.path).lines == Array(lines.reversed()))
        #expect(try await Mlog.run("verify", log.path).status == 0)
        #expect(try await Mlog.run("info", log.path).text.contains("compacted"))
        let again = try await Mlog.run("compact", log.path)
        #expect(again.status == 0)
        #expect(again.text == "nothing to do\n")

        let one = try await Mlog.run("restore", "--json", log.path, compacted[1])
        #expect(one.status == 0)
        let report = try #require(try JSONSerialization.jsonObject(with: Data(one.output)) as? [String: Any])
        #expect((report["segments"] as? [[String: Any]])?.count == 1)
        #expect(try segments(log.path, ".mlog.lz4") == [compacted[0]] + compacted[2...])
        #expect(try await Mlog.run("restore", log.path).status == 0)
        #expect(try segments(log.path, ".mlog.lz4").isEmpty)
        #expect(try await Mlog.run("tail", "--from", "first", log.path).lines == lines)
    }

    @Test("Wrong usage, and a second compactor, are refused")
    func refuses() async throws {
        let log = try await TemporaryLog(of: lines)
        for arguments in [["--level", "13"], ["--block-size", "100KiB"], ["--keep", "-1"], ["--jobs", "0"]] {
            #expect(try await Mlog.run("compact", arguments[0], arguments[1], log.path).status == 2)
        }
        #expect(try await Mlog.run("restore", log.path, "nonsense").status == 2)
        #expect(try await Mlog.run("restore", log.path, "00000000ff000000").status == 1)
        // As another compactor would, it holds byte 2 of the lock.
        let holder = """
            import fcntl, subprocess, sys; lock = open('\(log.path)/live/lock', 'r+b'); \
            fcntl.lockf(lock, fcntl.LOCK_EX, 1, 2); sys.exit(subprocess.call(sys.argv[1:]))
            """
        let second = try await Mlog.shell("python3 -c \"\(holder)\" \"$mlog\" compact '\(log.path)'")
        #expect(second.status == 1)
        #expect(second.errors.contains("the log is being compacted"))
    }
}
