import Foundation
import Testing

/// Tests of `mlog tail`, of a log nobody writes.
struct TailTests {
    private let numbers = (1...2_000).map { "record \($0)" }

    @Test(
        "It prints the part of the log that is asked for",
        arguments: [
            ("", 1991, 2000), ("-n 3", 1998, 2000), ("-n3", 1998, 2000), ("-n -3", 1998, 2000), ("-n 99999", 1, 2000),
            ("-n +1999", 1999, 2000), ("-n +0", 1, 2000), ("--from first", 1, 2000), ("--from first --count 4", 1, 4),
            ("--from sequence:1990", 1991, 2000), ("--from=-1h", 1, 2000), ("--from -1h --count 2", 1, 2),
            ("-n 10 --count 3", 1991, 1993), ("--from time:1970-01-01T00:00:00Z", 1, 2000),
            ("--durable -n 2", 1999, 2000), ("-n 2 --reverse", 2000, 1999), ("--reverse", 2000, 1991),
            ("--reverse --from sequence:1995", 2000, 1996), ("--reverse --from first --count 2", 2000, 1999),
        ] as [(String, Int, Int)]
    )
    func printsPart(options: String, first: Int, last: Int) async throws {
        let log = try await TemporaryLog(of: numbers)
        let outcome = try await Mlog.shell("$mlog tail \(log.path) \(options)")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let expected = stride(from: first, through: last, by: first <= last ? 1 : -1)
        #expect(outcome.lines == expected.map { "record \($0)" })
    }

    @Test(
        "It prints nothing where nothing is",
        arguments: [
            "-n 0", "--from end", "--count 0", "-n +3000", "--from time:2200-01-01T00:00:00Z",
        ]
    )
    func printsNothing(options: String) async throws {
        let log = try await TemporaryLog(of: numbers)
        let outcome = try await Mlog.shell("$mlog tail \(log.path) \(options)")
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.text == "")
    }

    @Test("It begins at a position that a record told")
    func beginsAtPosition() async throws {
        let log = try await TemporaryLog(of: numbers)
        let json = try await Mlog.run("tail", log.path, "-n", "7", "--format", "json")
        let first = try #require(json.lines.first)
        let record = try #require(try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any])
        let position = try #require(record["position"] as? UInt64)
        let tail = try await Mlog.run("tail", log.path, "--from", "position:\(position)")
        #expect(tail.lines == Array(numbers.suffix(7)))
    }

    @Test("JSON is one valid object a line, and holds any payload")
    func printsJSON() async throws {
        let log = try TemporaryLog()
        let payloads: [[UInt8]] = [
            [UInt8]("plain".utf8), [UInt8]("\"quoted\" \\ back/slash".utf8), Array(0..<32),
            [UInt8]("\u{7F}é€😀\u{2028}".utf8),
            [0xFF, 0xFE, 0], [0xED, 0xA0, 0x80], [], [UInt8]("line\nbreak\ttab\r".utf8),
        ]
        let input = payloads.reduce(into: []) { $0 += [UInt8($1.count), 0, 0, 0] + $1 }
        let before = Date.now
        _ = try await Mlog.run("append", "--create", log.path, "--format", "length-prefixed", input: input)
        let outcome = try await Mlog.run("tail", log.path, "--format", "json")
        #expect(outcome.lines.count == payloads.count)
        for (index, (line, payload)) in zip(outcome.lines, payloads).enumerated() {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["sequence"] as? Int == index)
            #expect(object["position"] is Int)
            #expect(object.count == 4)
            let timestamp = try #require(object["timestamp"] as? String)
            #expect(timestamp.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/) != nil)
            let time = try Date("\(timestamp.prefix(19))Z", strategy: .iso8601)
            #expect(abs(time.timeIntervalSince(before)) < 60)
            if let text = String(validating: payload, as: UTF8.self) {
                #expect(object["payload"] as? String == text)
            } else {
                #expect(object["payloadBase64"] as? String == Data(payload).base64EncodedString())
            }
        }
    }

    @Test(
        "Each format prints payloads in its way",
        arguments: [
            ("lines", "a\nb\n\n"), ("raw", "a\nb"), ("hex", "610a62\n\n"),
            ("length-prefixed", "\u{3}\0\0\0a\nb\0\0\0\0"),
        ]
    )
    func printsFormats(format: String, expected: String) async throws {
        let log = try TemporaryLog()
        let input = [UInt8]("\u{3}\0\0\0a\nb\0\0\0\0".utf8)
        _ = try await Mlog.run("append", "--create", log.path, "--format", "length-prefixed", input: input)
        #expect(try await Mlog.run("tail", log.path, "--format", format).text == expected)
    }

    @Test(
        "Options that contradict each other are wrong usage",
        arguments: [
            "-n 3 --from first", "-n 3 --as x", "--reverse -f", "--reverse --as x", "--as ''", "-n x",
            "--from yesterday",
            "--from end --reverse", "--format xml", "--count -1", "--from sequence:-1",
        ]
    )
    func refusesContradictions(options: String) async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.shell("$mlog tail \(log.path) \(options)")
        #expect(outcome.status == 2)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.hasSuffix("(see 'mlog tail --help')\n"))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("A log that isn't there is one line on standard error")
    func reportsMissingLog() async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.run("tail", log.path)
        #expect(outcome.status == 1)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.contains(log.path))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("A reader that goes away ends it quietly")
    func endsOnBrokenPipe() async throws {
        let log = try await TemporaryLog(of: (1...20_000).map { "record \($0)" })
        let outcome = try await Mlog.shell(
            "$mlog tail --from first \(log.path) | head -n 1; echo ${PIPESTATUS[0]}"
        )
        #expect(outcome.lines == ["record 1", "0"])
        #expect(outcome.errors == "")
    }

    @Test("A full disk is an error")
    func reportsFullDisk() async throws {
        let log = try await TemporaryLog(of: numbers)
        let outcome = try await Mlog.shell("$mlog tail \(log.path) > /dev/full")
        #expect(outcome.status == 1)
        #expect(outcome.errors == "mlog: standard output: No space left on device\n")
    }
}
