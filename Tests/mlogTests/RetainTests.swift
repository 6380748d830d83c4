import Foundation
import Glibc
import MappedLog
import SystemPackage
import Testing

/// Tests of `mlog retain`, `mlog snapshot`, and of what `mlog create` keeps with a log.
struct RetainTests {
    private let lines = (1...3_000).map { "record \($0) \(String(repeating: "x", count: 100))" }

    private func segments(_ log: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: log).filter { $0.contains(".mlog") }.sorted()
    }

    private func object(_ outcome: Outcome) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
    }

    @Test("Old segments go, a tailer that protects keeps them, and one that doesn't is told")
    func retains() async throws {
        let log = try await TemporaryLog(of: lines)
        let count = try segments(log.path).count
        #expect(try await Mlog.run("tail", "--as", "slow", "--count", "5", log.path).lines == Array(lines[..<5]))
        #expect(try await Mlog.run("tail", "--as", "audit", "--protect", "--count", "900", log.path).status == 0)
        let list = try await Mlog.run("tailers", log.path)
        #expect(list.lines.contains { $0.hasPrefix("audit") && $0.hasSuffix("yes") })
        #expect(list.lines.contains { $0.hasPrefix("slow") && $0.hasSuffix("no") })
        let info = try object(try await Mlog.run("info", "--json", log.path))
        #expect((info["tailers"] as? [[String: Any]])?.map { $0["protecting"] as? Bool } == [true, false])

        let dry = try await Mlog.run("retain", "--segments", "2", "--dry-run", log.path)
        #expect(dry.status == 0 && dry.lines.last?.contains("audit") == true)
        #expect(try segments(log.path).count == count)
        let report = try object(try await Mlog.run("retain", "--segments", "2", "--json", log.path))
        #expect(report["protectedBy"] as? String == "audit")
        let removed = try #require(report["removed"] as? [[String: Any]]).count
        #expect(removed == dry.lines.count - 2)
        #expect(try segments(log.path).count == count - removed)
        let first = try #require(report["firstSequence"] as? Int)
        #expect(first > 5 && first <= 900)

        let told = try await Mlog.run("tail", "--as", "slow", "--count", "1", log.path)
        #expect(told.status == 1)
        #expect(told.errors.contains("records 5 to \(first - 1) are gone"))
        #expect(told.lines == [lines[first]])
        #expect(try await Mlog.run("tail", "--as", "slow", "--count", "1", log.path).lines == [lines[first + 1]])
        #expect(try await Mlog.run("tail", "--as", "audit", "--no-protect", log.path).lines == Array(lines[900...]))
        #expect(try await Mlog.run("retain", "--bytes", "200KiB", log.path).lines.last?.contains("removed") == true)
        #expect(try segments(log.path).count <= 3)
        #expect(try await Mlog.run("retain", "--age", "1d", log.path).text == "nothing to remove\n")
        #expect(try await Mlog.run("verify", log.path).status == 0)
        // Who asks for what is gone is told, and gets the rest.
        let left = try object(try await Mlog.run("info", "--json", log.path))["firstSequence"] as? Int ?? 0
        let gone = try await Mlog.run("tail", "--from", "sequence:7", log.path)
        #expect(gone.status == 1 && gone.errors.contains("records 7 to \(left - 1) are gone"))
        #expect(gone.lines == Array(lines[left...]))
    }

    @Test("A segment that is damaged is named, and the status is 1")
    func namesDamage() async throws {
        let log = try await TemporaryLog(of: lines)
        let name = "\(log.path)/\(try segments(log.path)[1])"
        let file = try FileDescriptor.open(FilePath(name), .readWrite)
        _ = try file.closeAfter { try file.writeAll(toAbsoluteOffset: 20_000, "rot".utf8) }
        let outcome = try await Mlog.run("compact", log.path)
        #expect(outcome.status == 1 && outcome.errors.contains("damaged"))
        #expect(outcome.text.contains("left as it is: \(name), position"))
        #expect(try segments(log.path).contains { $0.hasSuffix(".lz4") })
    }

    @Test(
        "What makes no sense is wrong usage",
        arguments: [
            "retain LOG", "retain LOG --segments 0", "retain LOG --bytes 0", "retain LOG --age 0s",
            "create LOG --retain-segments 0", "tail LOG --protect", "snapshot LOG",
        ]
    )
    func refusesNonsense(line: String) async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.shell("$mlog \(line.replacingOccurrences(of: "LOG", with: log.path))")
        #expect(outcome.status == 2)
        #expect(!FileManager.default.fileExists(atPath: log.path))
    }

    @Test("A log is made like another, and keeps its size by itself")
    func createsLike() async throws {
        let log = try TemporaryLog()
        let options = "--segment-size 64KiB --permissions 0640 --durability 1ms"
        let rules = "--retain-segments 3 --retain-age 30d --compact-after 1h30m"
        #expect(try await Mlog.shell("$mlog create \(log.path) \(options) \(rules)").status == 0)
        let like = log.directory + "/like"
        #expect(try await Mlog.run("create", "--like", log.path, "--durability", "never", like).status == 0)
        let settings = try [log.path, like].map { path in
            let data = try Data(contentsOf: URL(fileURLWithPath: path + "/options.json"))
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
        for name in ["segmentSize", "permissions", "retention", "compactAfterSeconds"] {
            #expect(settings[0][name] as? NSObject == settings[1][name] as? NSObject)
        }
        #expect(settings[0]["retention"] as? [String: Int] == ["segments": 3, "ageSeconds": 30 * 86_400])
        #expect(settings[0]["compactAfterSeconds"] as? Int == 5_400)
        #expect(settings[1]["durability"] as? String == "never")
        #expect(settings[0]["id"] as? String != settings[1]["id"] as? String)
        try await Mlog.append(lines, to: log.path)
        #expect(try await Mlog.run("create", "--like", log.directory, like + "2").status == 1)
        // Whoever opens it next does what is left to do.
        try await eventually("only three segments are left") {
            try await Mlog.append(["one more"], to: log.path)
            return try segments(log.path).count <= 4
        }
    }

    @Test("A copy made while lines come holds the first of them")
    func copies() async throws {
        let log = try await TemporaryLog(of: lines)
        let copy = log.directory + "/copy"
        _ = try await RunningMlog.run("append", log.path, in: log.directory) { writer in
            for line in lines { try await writer.write(line + "\n") }
            let outcome = try await Mlog.run("snapshot", "--compact", "--json", log.path, copy)
            #expect(outcome.status == 0)
            #expect(try object(outcome)["compactedSegments"] as? Int ?? 0 > 3)
            try await writer.finishInput()
        }
        let copied = try await Mlog.run("tail", "-n", "+1", copy).lines
        #expect(copied.count >= lines.count)
        #expect(try await Mlog.run("tail", "-n", "+1", log.path).lines.starts(with: copied))
        #expect(try await Mlog.run("verify", copy).status == 0)
        let again = try await Mlog.run("snapshot", log.path, copy)
        #expect(again.status == 1 && again.errors.contains("empty"))
    }

    @Test("Killed at any moment, beside a writer and a tailer, it leaves a whole log")
    func survivesKills() async throws {
        let place = try TemporaryLog()
        let path = FilePath(place.path)
        let options = LogOptions(segmentSize: 64 << 10, durability: .interval(.milliseconds(1)))
        let log = try Log.create(at: path, options: options)
        var follower = try log.tailer()
        var written: UInt64 = 0
        for round in 0..<10 {
            for _ in 0..<150 {
                _ = try log.append(Array("record \(written) \(String(repeating: "y", count: 900))".utf8))
                written += 1
            }
            try await log.sync()
            if round % 3 == 0 { _ = try? Compactor.compact(at: path) }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Mlog.path.string)
            process.arguments = ["retain", "--segments", "2", path.string]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            usleep(UInt32.random(in: 1_000...60_000))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            var sequence = try log.info().firstSequence
            var tailer = try log.tailer()
            while let record = try tailer.next() {
                #expect(record.sequence == sequence)
                sequence += 1
            }
            #expect(sequence == written)
            var next = follower.sequence
            while next < written {
                do throws(LogError) {
                    guard let record = try follower.next() else { break }
                    #expect(record.sequence == next)
                    next += 1
                } catch {
                    #expect(error.goneSequences?.lowerBound == next)
                    next = error.goneSequences?.upperBound ?? written
                }
            }
            #expect(next == written)
        }
        try log.close()
        #expect(try Maintenance.verify(at: path).isWhole)
        #expect(try Maintenance.retain(at: path, rule: Retention(segments: 2)).firstSequence > 0)
        #expect(try Maintenance.verify(at: path).isWhole)
    }
}
