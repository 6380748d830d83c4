import Foundation
import Testing

/// Tests of `mlog info`.
struct InfoTests {
    @Test("JSON has every key, and the figures agree with one another")
    func printsJSON() async throws {
        let log = try await TemporaryLog(of: (1...2_000).map { "record \($0) \(String(repeating: "x", count: 100))" })
        _ = try await Mlog.run("tail", "--as", "x", "--count", "7", log.path)
        let outcome = try await Mlog.run("info", "--json", log.path)
        #expect(outcome.status == 0)
        let info = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
        let keys = [
            "id", "formatVersion", "medium", "segmentSize", "firstSequence", "nextSequence", "firstPosition",
            "endPosition", "durablePosition", "writers", "tailers", "segments",
        ]
        #expect(Set(info.keys) == Set(keys))
        #expect(info["segmentSize"] as? Int == 65_536)
        #expect(info["formatVersion"] as? String == "1.0")
        #expect(info["medium"] as? String == "file")
        #expect(info["firstSequence"] as? Int == 0)
        #expect(info["nextSequence"] as? Int == 2_000)
        let tailers = try #require(info["tailers"] as? [[String: Any]])
        #expect(tailers.map { $0["name"] as? String } == ["x"])
        #expect(tailers.first?["sequence"] as? Int == 7)
        let segments = try #require(info["segments"] as? [[String: Any]])
        #expect(segments.reduce(0) { $0 + ($1["records"] as? Int ?? 0) } == 2_000)
        #expect(segments.count >= 5)
        #expect(segments.first?["state"] as? String == "sealed")
        #expect(segments.allSatisfy { $0["base"] is Int && $0["bytes"] is Int && $0["storedBytes"] is Int })
    }

    @Test("Text is for people: facts, then a table of segments")
    func printsText() async throws {
        let log = try await TemporaryLog(of: ["one", "two"])
        let outcome = try await Mlog.run("info", log.path)
        #expect(outcome.status == 0)
        #expect(outcome.lines.contains("segment size  64KiB"))
        #expect(outcome.lines.contains("records       2, sequence 0 to 1"))
        #expect(outcome.text.contains("\n0000000000000000  active"))
        #expect(!outcome.text.contains("\u{1B}"))
    }

    @Test("Colour is for a terminal, and for who wants it")
    func honoursNoColor() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let coloured = try await PseudoTerminal.shell("$mlog info \(log.path)")
        #expect(coloured.text.contains("\u{1B}["))
        let plain = try await PseudoTerminal.shell("$mlog info \(log.path)", environment: ["NO_COLOR": "1"])
        #expect(plain.text.contains("segment size") && !plain.text.contains("\u{1B}"))
        let empty = try await PseudoTerminal.shell("$mlog info \(log.path)", environment: ["NO_COLOR": ""])
        #expect(empty.text.contains("\u{1B}["))
        let dumb = try await PseudoTerminal.shell("$mlog info \(log.path)", environment: ["TERM": "dumb"])
        #expect(!dumb.text.contains("\u{1B}"))
        let error = try await PseudoTerminal.shell("$mlog info \(log.path)x")
        #expect(error.text.hasPrefix("\u{1B}[1;31mmlog:\u{1B}[0m "))
    }
}
