import Foundation
import Testing

/// Tests of `mlog tail -f`.
@Suite(.timeLimit(.minutes(2)))
struct FollowTests {
    @Test("It prints what is there and then what comes, promptly, and Ctrl-C is a good end")
    func followsAppends() async throws {
        let log = try await TemporaryLog(of: ["one", "two", "three"])
        let outcome = try await RunningMlog.run("tail", "-f", "-n", "2", log.path, in: log.directory) { tail in
            try await eventually("the last two are printed") { try tail.output == "two\nthree\n" }
            try await Mlog.append(["four"], to: log.path)
            try await eventually("the next one is printed") { try tail.output == "two\nthree\nfour\n" }
            try tail.interrupt()
        }
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.lines == ["two", "three", "four"])
    }

    @Test("It follows across segments while somebody appends")
    func followsAcrossRolls() async throws {
        let log = try await TemporaryLog(of: [])
        let lines = (1...20_000).map { "record \($0) \(String(repeating: "x", count: $0 % 200))" }
        let outcome = try await RunningMlog.run("tail", "-f", "--from", "first", log.path, in: log.directory) { tail in
            for start in stride(from: 0, to: lines.count, by: 5_000) {
                try await Mlog.append(lines[start..<start + 5_000], to: log.path)
            }
            try await eventually("the last one is printed") { try tail.output.hasSuffix("\n\(lines.last ?? "")\n") }
            try tail.terminate()
        }
        #expect(outcome.status == 0)
        #expect(outcome.lines == lines)
    }

    @Test("From the end on, it prints only what comes")
    func followsFromEnd() async throws {
        let log = try await TemporaryLog(of: ["old"])
        let outcome = try await RunningMlog.run("tail", "-f", "-n", "0", log.path, in: log.directory) { tail in
            try await eventually("something new is printed") {
                try await Mlog.append(["new"], to: log.path)
                return try tail.output.hasPrefix("new\n")
            }
            try tail.interrupt()
        }
        #expect(outcome.status == 0)
        #expect(!outcome.lines.contains("old"))
    }

    @Test("--count ends it")
    func endsAfterCount() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let outcome = try await RunningMlog.run("tail", "-f", "--count", "2", log.path, in: log.directory) { tail in
            try await eventually("the first is printed") { try tail.output == "one\n" }
            try await Mlog.append(["two", "three"], to: log.path)
        }
        #expect(outcome.status == 0)
        #expect(outcome.lines == ["one", "two"])
    }

    @Test("Durable records are followed too")
    func followsDurable() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let outcome = try await RunningMlog.run("tail", "-f", "--durable", log.path, in: log.directory) { tail in
            try await Mlog.append(["two"], to: log.path, "--durability", "always")
            try await eventually("both are printed") { try tail.output == "one\ntwo\n" }
            try tail.interrupt()
        }
        #expect(outcome.status == 0)
    }

    @Test("A reader that goes away ends it, though nothing more comes")
    func endsWithReader() async throws {
        let log = try await TemporaryLog(of: ["one", "two"])
        let outcome = try await Mlog.shell("$mlog tail -f \(log.path) | head -n 1; echo ${PIPESTATUS[0]}")
        #expect(outcome.lines == ["one", "0"])
        #expect(outcome.errors == "")
    }

    @Test("A reader that stands still doesn't keep Ctrl-C from ending it")
    func endsWhileBlocked() async throws {
        let log = try await TemporaryLog(of: (1...50_000).map { "record \($0)" })
        let outcome = try await Mlog.shell(
            """
            exec 3> >(exec sleep 30 > /dev/null 2>&1); reader=$!
            $mlog tail -f --from first \(log.path) >&3 3>&- & pid=$!
            sleep 1; kill -TERM $pid; wait $pid; echo $?; kill $reader
            """
        )
        #expect(outcome.lines == ["0"])
    }
}
