import Foundation
import Testing

import enum MappedLogTestSupport.Sanitizer

/// Large logs: following across many rolls, and finding a place without reading what lies before it.
@Suite(.timeLimit(.minutes(4)))
struct ScaleTests {
    @Test("It follows across 1,000 rolls while append runs")
    func followsAcrossThousandRolls() async throws {
        let log = try TemporaryLog()
        _ = try await Mlog.run("create", log.path, "--segment-size", "64KiB", "--durability", "never")
        // 57,296 bytes of data a segment, 1,024 a frame: 55 records, so 1,000 rolls take 55,001.
        let count = 56_000
        let outcome = try await Mlog.shell(
            """
            $mlog tail -f --from first --count \(count) \(log.path) | cksum > \(log.directory)/tailed & tail=$!
            seq -f '%01000.0f' \(count) | tee >(cksum > \(log.directory)/appended) | $mlog append \(log.path)
            wait $tail
            """
        )
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let sums = try ["tailed", "appended"].map {
            try String(contentsOfFile: "\(log.directory)/\($0)", encoding: .utf8)
        }
        #expect(sums[0] == sums[1])
        let segments = try FileManager.default.contentsOfDirectory(atPath: log.path).filter { $0.hasSuffix(".mlog") }
        #expect(segments.count > 1_000)
    }

    @Test(
        "On a log of 10 million records a sequence and a time are found by the index",
        .disabled(if: Sanitizer.name != nil, "a sanitizer touches pages of its own for each file that is mapped")
    )
    func seeksByIndex() async throws {
        let count = 10_000_000
        let log = try TemporaryLog()
        let appended = try await Mlog.shell(
            "seq \(count) | $mlog append --create --durability never --batch 1000 \(log.path)"
        )
        #expect(appended.errors == "")
        #expect(appended.status == 0)

        // What the command touches before it does anything.
        let start = try await Faults.of("--version").faults
        // The log has some 80,000 pages; a scan would touch one in sixteen at least.
        let bound = start + 2_000
        for number in [1, 4_711_000, count] {
            let bySequence = try await Faults.of("tail", log.path, "--from", "sequence:\(number - 1)", "--count", "1")
            #expect(bySequence.text == "\(number)\n")
            #expect(bySequence.faults < bound)
        }
        let json = try await Mlog.run(
            "tail",
            log.path,
            "--from",
            "sequence:5000000",
            "--count",
            "1",
            "--format",
            "json"
        )
        let record = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
        let time = try #require(record["timestamp"] as? String)
        let byTime = try await Faults.of("tail", log.path, "--from", "time:\(time)", "--count", "1", "--format", "json")
        #expect(byTime.text.contains("\"timestamp\":\"\(time)\""))
        #expect(byTime.faults < bound)
    }

    /// What a run of the command printed, and how many pages it touched first.
    private struct Faults {
        let text: String
        let faults: Int

        static func of(_ arguments: String...) async throws -> Faults {
            let outcome = try await Mlog.shell(
                """
                python3 - $mlog \(arguments.joined(separator: " ")) <<'END'
                import os, resource, subprocess, sys
                output = subprocess.run(sys.argv[1:], capture_output=True, check=True).stdout
                usage = resource.getrusage(resource.RUSAGE_CHILDREN)
                os.write(2, str(usage.ru_minflt + usage.ru_majflt).encode())
                os.write(1, output)
                END
                """
            )
            return Faults(text: outcome.text, faults: try #require(Int(outcome.errors)))
        }
    }
}
