import Foundation
import Testing

/// Tests of `mlog tail --as` and `mlog tailers`.
@Suite(.timeLimit(.minutes(2)))
struct TailersTests {
    private let numbers = (1...20).map(String.init)

    @Test("A named tailer goes on where it was")
    func goesOn() async throws {
        let log = try await TemporaryLog(of: numbers)
        let runs = [
            try await Mlog.run("tail", "--as", "billing", "--count", "5", log.path),
            try await Mlog.run("tail", "--as", "billing", "--count", "0", log.path),
            try await Mlog.run("tail", "--as", "billing", "--from", "end", "--count", "5", log.path),
            try await Mlog.run("tail", "--as", "billing", log.path),
            try await Mlog.run("tail", "--as", "billing", log.path),
        ]
        #expect(runs.allSatisfy { $0.status == 0 && $0.errors.isEmpty })
        #expect(
            runs.map(\.lines) == [Array(numbers[..<5]), [], Array(numbers[5..<10]), Array(numbers[10...]), []]
        )
    }

    @Test("A new one begins where --from says")
    func beginsSomewhere() async throws {
        let log = try await TemporaryLog(of: numbers)
        let tail = try await Mlog.run("tail", "--as", "x", "--from", "sequence:18", log.path)
        #expect(tail.lines == ["19", "20"])
    }

    @Test("One that follows keeps its place when Ctrl-C ends it, and nobody else may use its name meanwhile")
    func followsByName() async throws {
        let log = try await TemporaryLog(of: numbers)
        let outcome = try await RunningMlog.run("tail", "-f", "--as", "x", log.path, in: log.directory) { tail in
            try await eventually("all are printed") { try tail.output.hasSuffix("\n20\n") }
            let other = try await Mlog.run("tail", "--as", "x", log.path)
            #expect(other.status == 1)
            #expect(other.errors.hasPrefix("mlog: ") && other.errors.filter { $0 == "\n" }.count == 1)
            try await Mlog.append(["21"], to: log.path)
            try await eventually("the next is printed") { try tail.output.hasSuffix("\n21\n") }
            try tail.interrupt()
        }
        #expect(outcome.status == 0)
        try await Mlog.append(["22"], to: log.path)
        #expect(try await Mlog.run("tail", "--as", "x", log.path).lines == ["22"])
    }

    @Test("What a reader that went away didn't get comes again")
    func repeatsUnwritten() async throws {
        let log = try await TemporaryLog(of: (1...50_000).map { "record \($0)" })
        let broken = try await Mlog.shell("$mlog tail --as x \(log.path) | head -n 1; echo ${PIPESTATUS[0]}")
        #expect(broken.lines == ["record 1", "0"])
        let rest = try await Mlog.run("tail", "--as", "x", log.path)
        // Up to what a pipe and its reader hold, which may count as written.
        #expect(rest.lines.count >= 20_000)
        #expect(rest.lines.last == "record 50000")
    }

    @Test("They are listed, reset and removed")
    func managesTailers() async throws {
        let log = try await TemporaryLog(of: numbers)
        #expect(try await Mlog.run("tailers", log.path).text == "no named tailers\n")
        _ = try await Mlog.run("tail", "--as", "a", "--count", "3", log.path)
        _ = try await Mlog.run("tail", "--as", "b", log.path)
        let list = try await Mlog.run("tailers", log.path, "list")
        #expect(list.lines.count == 3)
        #expect(list.lines[1].split(separator: " ").map(String.init).prefix(1) == ["a"])
        #expect(try await places(in: log) == ["a": 3, "b": 20])
        let reset = try await Mlog.run("tailers", log.path, "reset", "b", "--to", "sequence:7")
        #expect(reset.status == 0 && reset.errors.isEmpty && reset.output.isEmpty)
        #expect(try await Mlog.run("tailers", log.path, "reset", "a", "--to", "-1h").status == 0)
        #expect(try await places(in: log) == ["a": 0, "b": 7])
        #expect(try await Mlog.run("tail", "--as", "b", "--count", "1", log.path).lines == ["8"])
        #expect(try await Mlog.run("tailers", log.path, "remove", "a").status == 0)
        #expect(try await places(in: log) == ["b": 8])
    }

    @Test("A name that isn't there, or can't be one, is an error")
    func refusesNames() async throws {
        let log = try await TemporaryLog(of: numbers)
        for outcome in [
            try await Mlog.run("tailers", log.path, "remove", "nobody"),
            try await Mlog.run("tailers", log.path, "reset", "a b", "--to", "first"),
            try await Mlog.run("tailers", log.path, "reset", "a", "--to", "sequence:21"),
            try await Mlog.run("tail", "--as", "../x", log.path),
        ] {
            #expect(outcome.status == 1)
            #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test("A tailer that isn't there is named")
    func namesMissingTailer() async throws {
        let log = try await TemporaryLog(of: [])
        let outcome = try await Mlog.run("tailers", log.path, "remove", "z")
        #expect(outcome.status == 1)
        #expect(
            outcome.errors
                == "mlog: \(log.path): no tailer is named 'z'; 'mlog tailers \(log.path)' lists those there are\n"
        )
        let missing = try await Mlog.run("tailers", "\(log.path)x", "remove", "z")
        #expect(missing.errors.contains("no log here"))
    }

    @Test("Wrong usage is told", arguments: ["remove", "reset x", "reset x --to nowhere", "rename x", "list x"])
    func refusesNonsense(arguments: String) async throws {
        let log = try await TemporaryLog(of: [])
        let outcome = try await Mlog.shell("$mlog tailers \(log.path) \(arguments)")
        #expect(outcome.status == 2)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.contains("see 'mlog tailers"))
    }

    /// The sequence of each named tailer.
    private func places(in log: TemporaryLog) async throws -> [String: Int] {
        let outcome = try await Mlog.run("tailers", log.path, "list", "--json")
        let list = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [[String: Any]])
        var places: [String: Int] = [:]
        for entry in list {
            let name = try #require(entry["name"] as? String)
            places[name] = try #require(entry["sequence"] as? Int)
            #expect(entry["lag"] as? Int == 20 - (places[name] ?? 0))
            #expect(entry["position"] is Int)
            #expect(entry["isOpen"] as? Bool == false)
        }
        return places
    }
}
