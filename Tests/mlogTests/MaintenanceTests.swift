import Foundation
import Testing

/// Tests of `mlog verify`, `recover` and `repair`.
struct MaintenanceTests {
    private let lines = (1...2_000).map { "record \($0) \(String(repeating: "x", count: 100))" }

    @Test("A whole log is found whole")
    func verifiesWholeLog() async throws {
        let log = try await TemporaryLog(of: lines)
        let text = try await Mlog.run("verify", log.path)
        #expect(text.status == 0)
        #expect(text.errors == "")
        #expect(text.text.hasPrefix("whole: "))
        let json = try await Mlog.run("verify", "--json", log.path)
        #expect(json.status == 0)
        let report = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
        #expect(report["isWhole"] as? Bool == true)
        #expect(report["records"] as? Int == 2_000)
    }

    @Test("Damage is found, refused, and repaired only when asked for")
    func repairsDamage() async throws {
        let log = try await TemporaryLog(of: lines)
        try log.damage(lines[999])
        let verified = try await Mlog.run("verify", log.path)
        #expect(verified.status == 1)
        #expect(verified.errors.hasPrefix("mlog: \(log.path): the log is damaged"))
        #expect(verified.errors.filter { $0 == "\n" }.count == 1)
        let json = try await Mlog.run("verify", "--json", log.path)
        #expect(json.status == 1)
        let report = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
        #expect(report["isWhole"] as? Bool == false)

        let tail = try await Mlog.run("tail", "--from", "first", log.path)
        #expect(tail.status == 1)
        #expect(tail.lines == Array(lines[..<999]))
        #expect(tail.errors.hasPrefix("mlog: "))

        let repaired = try await Mlog.run("repair", log.path)
        #expect(repaired.status == 0)
        #expect(repaired.text.contains("lost+found"))
        #expect(try await Mlog.run("verify", log.path).status == 0)
        try await Mlog.append(["after"], to: log.path)
        #expect(try await Mlog.run("tail", "-n", "1", log.path).lines == ["after"])
    }

    @Test("A log that was closed cleanly has nothing to recover, and repair finds no damage")
    func findsNothingToDo() async throws {
        let log = try await TemporaryLog(of: lines)
        let recovered = try await Mlog.run("recover", log.path)
        #expect(recovered.status == 0)
        #expect(recovered.text.hasPrefix("closed cleanly: nothing to recover\n"))
        let json = try await Mlog.run("recover", "--json", log.path)
        let report = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
        #expect(report["cleanClose"] as? Bool == true)
        #expect(report["nextSequence"] as? Int == 2_000)
        let repaired = try await Mlog.run("repair", "--json", log.path)
        #expect(repaired.status == 0)
        #expect(try JSONSerialization.jsonObject(with: Data(repaired.output)) is [String: Any])
    }

    @Test("A log with a writer is left alone by recover")
    func leavesLiveLogAlone() async throws {
        let log = try await TemporaryLog(of: [])
        _ = try await RunningMlog.run("append", log.path, in: log.directory) {
            try await $0.write("one\n")
            try await eventually("the writer is there") { try await Mlog.run("tail", log.path).lines == ["one"] }
            let outcome = try await Mlog.run("recover", log.path)
            #expect(outcome.status == 0)
            #expect(outcome.text == "the log has writers: nothing to recover, nothing done\n")
            try await $0.finishInput()
        }
    }

    @Test("A writer killed in the middle costs no record that tailers saw")
    func survivesKill() async throws {
        let log = try await TemporaryLog(of: [])
        let outcome = try await RunningMlog.run("append", log.path, in: log.directory) {
            try await $0.write("one\ntwo\n")
            try await eventually("they are there") {
                try await Mlog.run("tail", log.path).lines == ["one", "two"]
            }
            try $0.kill()
        }
        #expect(outcome.status == 137)
        let recovered = try await Mlog.run("recover", log.path)
        #expect(recovered.status == 0)
        #expect(!recovered.text.contains("closed cleanly"))
        #expect(try await Mlog.run("tail", log.path).lines == ["one", "two"])
    }

    @Test("A log that isn't there is an error of each", arguments: ["verify", "recover", "repair", "info", "tailers"])
    func reportsMissingLog(command: String) async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.run(command, log.path)
        #expect(outcome.status == 1)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.contains(log.path))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }
}
