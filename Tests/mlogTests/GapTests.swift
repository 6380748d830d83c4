import Foundation
import SystemPackage
import Testing

/// Tests of `mlog tail` over records that are gone, and over files that change under it.
@Suite(.timeLimit(.minutes(2)))
struct GapTests {
    private static let gap =
        "mlog: records 2 to 4 are gone from the log before position 4160; going on behind the gap\n"

    @Test(
        "Records that are gone are told, the others are printed, and the status is 1",
        arguments: [
            ("--from first", ["zero", "one", "five"]), ("", ["zero", "one", "five"]), ("-n 3", ["five"]),
            ("-n +3", ["five"]), ("--reverse", ["five", "one", "zero"]), ("--as x", ["zero", "one", "five"]),
            ("-f --from first --count 3", ["zero", "one", "five"]),
        ] as [(String, [String])]
    )
    func passesGaps(options: String, records: [String]) async throws {
        let log = try lostRecords()
        let outcome = try await Mlog.shell("$mlog tail \(options) \(log.path)")
        #expect(outcome.status == 1)
        #expect(outcome.lines == records)
        #expect(outcome.errors.hasPrefix("mlog: records 2 to 4 are gone from the log before position 41"))
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("What is behind a gap is followed, and Ctrl-C is a good end")
    func followsBehindGap() async throws {
        let log = try lostRecords()
        let outcome = try await RunningMlog.run("tail", "-f", "--from", "first", log.path, in: log.directory) { tail in
            try await eventually("all are printed") { try tail.output == "zero\none\nfive\n" }
            try await Mlog.append(["six"], to: log.path)
            try await eventually("the next one is printed") { try tail.output == "zero\none\nfive\nsix\n" }
            try tail.interrupt()
        }
        #expect(outcome.status == 0)
        #expect(outcome.errors == Self.gap)
    }

    @Test("A file that is truncated while it is mapped ends the command with one line")
    func survivesTruncation() async throws {
        let log = try await TemporaryLog(of: ["one"])
        let outcome = try await RunningMlog.run("tail", "-f", log.path, in: log.directory) { tail in
            try await eventually("the first is printed") { try tail.output == "one\n" }
            let segment = try FileDescriptor.open(FilePath("\(log.path)/0000000000000000.mlog"), .readWrite)
            try segment.closeAfter { try segment.resize(to: 0) }
        }
        #expect(outcome.status == 1)
        #expect(
            outcome.errors
                == "mlog: a file of the log was truncated or can't be read while it was mapped; run 'mlog verify LOG'\n"
        )
    }

    /// A copy of the test vector in which a repair could not keep the records 2 to 4.
    private func lostRecords() throws -> TemporaryLog {
        let log = try TemporaryLog()
        let root = URL(fileURLWithPath: #filePath).appending(path: "../../../spec/vectors/lost/log").standardized
        try FileManager.default.copyItem(at: root, to: URL(fileURLWithPath: log.path))
        try FileManager.default.createDirectory(atPath: "\(log.path)/tailers", withIntermediateDirectories: true)
        return log
    }
}
