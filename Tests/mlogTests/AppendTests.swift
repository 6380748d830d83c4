import Foundation
import Testing

/// Tests of `mlog append`.
@Suite(.timeLimit(.minutes(2)))
struct AppendTests {
    @Test("Each line is a record, the last one without a line feed too, and an empty one too")
    func appendsLines() async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.run("append", "--create", log.path, input: [UInt8]("one\n\nthree\r\nfour".utf8))
        #expect(outcome.status == 0)
        #expect(outcome.errors.isEmpty)
        let tail = try await Mlog.run("tail", log.path, "--format", "hex")
        #expect(tail.lines == ["6f6e65", "", "74687265650d", "666f7572"])
    }

    @Test("Empty input is no record")
    func appendsNothing() async throws {
        let log = try TemporaryLog()
        #expect(try await Mlog.run("append", "--create", log.path).status == 0)
        #expect(try await Mlog.run("tail", log.path, "--format", "json").output.isEmpty)
    }

    @Test("Without --create, a log that isn't there is an error")
    func needsLog() async throws {
        let log = try TemporaryLog()
        let outcome = try await Mlog.run("append", log.path, input: [UInt8]("x\n".utf8))
        #expect(outcome.status == 1)
        #expect(outcome.errors.hasPrefix("mlog: ") && outcome.errors.contains(log.path))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("Any bytes come through tail and append, length-prefixed", arguments: [1, 7, 10_000])
    func copiesAnyBytes(batch: Int) async throws {
        let (original, copy) = (try TemporaryLog(), try TemporaryLog())
        var random = SystemRandomNumberGenerator()
        var input: [UInt8] = []
        for _ in 0..<3_000 {
            let payload = (0..<Int.random(in: 0..<400)).map { _ in UInt8.random(in: 0...255, using: &random) }
            input += withLength(payload)
        }
        let appended = try await Mlog.run(
            "append",
            "--create",
            original.path,
            "--format",
            "length-prefixed",
            "--batch",
            "\(batch)",
            input: input
        )
        #expect(appended.status == 0 && appended.errors.isEmpty)
        let piped = try await Mlog.shell(
            """
            set -o pipefail; $mlog tail --from first --format length-prefixed \(original.path) |
            $mlog append --create --format length-prefixed --batch \(batch) \(copy.path)
            """
        )
        #expect(piped.status == 0 && piped.errors.isEmpty)
        let tail = try await Mlog.run("tail", "--from", "first", "--format", "length-prefixed", copy.path)
        let areSame = tail.output == input
        #expect(areSame)
    }

    @Test("Records larger than what is read at once come through whole")
    func appendsLargeRecords() async throws {
        let log = try TemporaryLog()
        let lines = (1...5).map { String(repeating: "\($0)", count: 300_000 * $0) }
        _ = try await Mlog.run("create", log.path, "--segment-size", "16MiB")
        try await Mlog.append(lines, to: log.path)
        // Compared here, since a failure would print both.
        let areSame = try await Mlog.run("tail", log.path).lines == lines
        #expect(areSame)
    }

    @Test("A record cut off at the end of the input is an error, and those before it are appended")
    func reportsTruncatedInput() async throws {
        for surplus in [[7], [9, 0, 0, 0], [9, 0, 0, 0, 1, 2]] as [[UInt8]] {
            let log = try TemporaryLog()
            let input = withLength([65]) + withLength([66]) + surplus
            let outcome = try await Mlog.run(
                "append",
                "--create",
                log.path,
                "--format",
                "length-prefixed",
                "--batch",
                "10",
                input: input
            )
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("record 3 is cut off"))
            #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
            #expect(try await Mlog.run("tail", log.path).lines == ["A", "B"])
        }
    }

    @Test("A record that is too large is named by its number, and those before it are appended")
    func reportsLargeRecords() async throws {
        let log = try TemporaryLog()
        _ = try await Mlog.run("create", log.path, "--segment-size", "64KiB")
        let line = String(repeating: "x", count: 5 << 20)
        let outcome = try await Mlog.run("append", log.path, input: [UInt8]("a\nb\n\(line)\nc\n".utf8))
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("record 3 is too large"))
        #expect(try await Mlog.run("tail", log.path).lines == ["a", "b"])
        let prefixed = try await Mlog.run(
            "append",
            log.path,
            "--format",
            "length-prefixed",
            input: [UInt8]("this is text".utf8)
        )
        #expect(prefixed.status == 1)
        #expect(prefixed.errors.contains("is this input length-prefixed?"))
        #expect(prefixed.errors.contains("record 1 is too large: its length says 1936287860 bytes, and this log takes"))
    }

    @Test("A batch doesn't wait for input that pauses", .timeLimit(.minutes(1)))
    func batchesDoNotWait() async throws {
        let log = try await TemporaryLog(of: [])
        let outcome = try await RunningMlog.run("append", log.path, "--batch", "1000", in: log.directory) {
            try await $0.write("one\ntwo\nthr")
            try await eventually("two records are there") {
                try await Mlog.run("tail", log.path).lines == ["one", "two"]
            }
            try await $0.write("ee\n")
            try await $0.finishInput()
        }
        #expect(outcome.status == 0)
        #expect(try await Mlog.run("tail", log.path).lines == ["one", "two", "three"])
    }

    @Test("A batch that would outgrow a segment ends early")
    func batchesFitSegments() async throws {
        let log = try await TemporaryLog(of: [])
        let lines = (0..<5_000).map { String(repeating: "x", count: $0 % 100) }
        try await Mlog.append(lines, to: log.path, "--batch", "1000000")
        let areSame = try await Mlog.run("tail", "-n", "+1", log.path).lines == lines
        #expect(areSame)
    }

    @Test("Ctrl-C ends it after the last whole record", arguments: [1, 100])
    func endsOnInterrupt(batch: Int) async throws {
        let log = try await TemporaryLog(of: [])
        let outcome = try await RunningMlog.run("append", log.path, "--batch", "\(batch)", in: log.directory) {
            try await $0.write("one\ntwo\nunfinished")
            try await eventually("two records are there") {
                try await Mlog.run("tail", log.path).lines.count == 2
            }
            try $0.interrupt()
        }
        #expect(outcome.status == 130)
        #expect(
            outcome.errors
                == "mlog: interrupted: the 2 records read so far are appended, 10 bytes of an unfinished one are not\n"
        )
        #expect(try await Mlog.run("tail", log.path).lines == ["one", "two"])
        #expect(try await Mlog.run("verify", log.path).status == 0)
    }

    @Test("Every durability appends alike", arguments: ["never", "always", "10ms", "64KiB"])
    func takesDurability(durability: String) async throws {
        let log = try TemporaryLog()
        try await Mlog.append((0..<100).map(String.init), to: log.path, "--create", "--durability", durability)
        #expect(try await Mlog.run("tail", log.path, "-n", "1").lines == ["99"])
    }

    @Test("A summary is for a person at a terminal")
    func summarizesOnTerminal() async throws {
        let log = try TemporaryLog()
        let shown = try await PseudoTerminal.shell("seq 1 1000 | $mlog append --create \(log.path)")
        #expect(shown.status == 0)
        #expect(shown.text.hasPrefix("appended 1000 records, 2.82KiB, in "))
        #expect(shown.text.hasSuffix("; sequence 0 to 999\r\n"))
    }

    private func withLength(_ payload: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: payload.count >> (8 * $0)) } + payload
    }
}
