import Foundation
import Testing

/// Tests of `mlog create`.
struct CreateTests {
    @Test("It makes an empty log, and doesn't touch one that is there")
    func createsOnce() async throws {
        let log = try TemporaryLog()
        let first = try await Mlog.run("create", log.path)
        #expect(first.status == 0)
        #expect(first.output.isEmpty && first.errors.isEmpty)
        let second = try await Mlog.run("create", log.path)
        #expect(second.status == 1)
        #expect(second.errors.hasPrefix("mlog: ") && second.errors.contains(log.path))
        #expect(try await Mlog.run("tail", log.path).output.isEmpty)
    }

    @Test("The segment size and the permissions are those asked for")
    func takesOptions() async throws {
        let log = try TemporaryLog()
        let created = try await Mlog.run("create", log.path, "--segment-size", "1MiB", "--permissions", "0640")
        #expect(created.status == 0)
        let info = try await Mlog.run("info", "--json", log.path)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(info.output)) as? [String: Any])
        #expect(object["segmentSize"] as? Int == 1 << 20)
        let options = try FileManager.default.attributesOfItem(atPath: log.path + "/options.json")
        #expect(options[.posixPermissions] as? Int == 0o640)
    }

    @Test(
        "What makes no sense is wrong usage",
        arguments: [
            ["--segment-size", "63KiB"], ["--segment-size", "8GiB"], ["--segment-size", "100000"],
            ["--permissions", "rw"], ["--permissions", "1777"], ["--durability", "10"], ["--what"],
        ]
    )
    func refusesNonsense(options: [String]) async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.shell("$mlog create \(log.path) \(options.joined(separator: " "))")
        #expect(outcome.status == 2)
        #expect(outcome.errors.hasPrefix("mlog: "))
        #expect(outcome.errors.hasSuffix("(see 'mlog create --help')\n"))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
        #expect(!FileManager.default.fileExists(atPath: log.path))
    }
}
