import Foundation
import Glibc
import MappedLog
import SystemPackage
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
        #expect(dry.lines.count == raw - 2)
        #expect(try segments(log.path, ".mlog").count == raw)

        let outcome = try await Mlog.run("compact", "--level", "9", "--block-size", "64KiB", "--jobs", "2", log.path)
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.lines.last?.hasPrefix("compacted \(raw - 2) segments: ") == true)
        let compacted = try segments(log.path, ".mlog.lz4")
        #expect(compacted.count == raw - 2)
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

    @Test("Killed at any moment, beside a writer and a tailer, nothing is lost, doubled or left over")
    func survivesKills() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        let path = FilePath(directory).appending("log")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let options = LogOptions(segmentSize: 64 << 10, durability: .interval(.milliseconds(1)))
        let log = try Log.create(at: path, options: options)
        var follower = try log.tailer()
        var written: UInt64 = 0
        var seen: UInt64 = 0
        var killed = 0
        var compacted = 0
        for round in 0..<220 {
            for _ in 0..<150 {
                _ = try log.append(Array("record \(written) \(String(repeating: "y", count: Int(written % 900)))".utf8))
                written += 1
            }
            try await log.sync()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Mlog.path.string)
            // Now and then back again, so that both ways are interrupted.
            process.arguments = [round % 5 == 4 ? "restore" : "compact", path.string]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            usleep(UInt32.random(in: 500...45_000))
            if kill(process.processIdentifier, SIGKILL) == 0, process.isRunning { killed += 1 }
            while let record = try follower.next() {
                #expect(record.sequence == seen)
                let start = Array("record \(seen) ".utf8)
                let isRight = unsafe record.payload.withUnsafeBytes { unsafe $0.starts(with: start) }
                #expect(isRight)
                seen += 1
            }
            #expect(seen == written)
            process.waitUntilExit()
            if round % 20 == 19 {
                // All of it again, from the first record, over whatever forms there are now.
                var sequence: UInt64 = 0
                var tailer = try log.tailer()
                while let record = try tailer.next() {
                    #expect(record.sequence == sequence)
                    sequence += 1
                }
                #expect(sequence == written)
                let report = try Compactor.compact(at: path)
                compacted += report.segments.count
                let names = try FileManager.default.contentsOfDirectory(atPath: path.string)
                #expect(!names.contains { $0.hasPrefix(".tmp-compact-") })
                let forms = Dictionary(grouping: names.filter { $0.contains(".mlog") }) { $0.prefix(16) }
                #expect(forms.values.allSatisfy { $0.count == 1 })
            }
        }
        #expect(killed >= 200)
        try log.close()
        #expect(try Maintenance.verify(at: path).isWhole)
        #expect(try Maintenance.verify(at: path).records == written)
        #expect(try segments(path.string, ".mlog.lz4").count > 100)
    }
}
