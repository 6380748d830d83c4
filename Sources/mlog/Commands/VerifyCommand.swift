import ArgumentParser
import MappedLog

/// `mlog verify`: checks every byte of a log.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every frame of a log.",
        discussion: """
            It only reads, and may run beside writers and tailers. Exit status: 0 when the log is whole, 1 when it is \
            damaged or can't be read.

            Examples:
              mlog verify /var/log/orders
              mlog verify --json /var/log/orders | jq .findings
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        var bar = ProgressBar()
        let report: VerifyReport
        do {
            defer { bar.clear() }
            report = try Maintenance.verify(at: log) { bar.update(done: $0.bytesDone, of: $0.bytesTotal) }
        }
        if json {
            try JSONReport.print(report)
        } else {
            try text(report).print()
        }
        if report.findings.allSatisfy({ $0.kind == .namedTailer }), !report.isWhole {
            throw CommandFailure(
                "\(log): a named tailer is damaged, no record is; 'mlog tailers \(log) reset NAME --to …' sets it anew, "
                    + "'mlog tailers \(log) remove NAME' forgets it"
            )
        }
        if report.findings.contains(where: { $0.kind == .liveFile }) {
            throw CommandFailure(
                "\(log): writers are kept out; remove what is no file from live/ while no process has the log open: the "
                    + "next one that opens it for writing makes it anew"
            )
        }
        guard report.isWhole else {
            throw CommandFailure("\(log): the log is damaged; 'mlog repair \(log)' makes what is left of it usable")
        }
    }

    private func text(_ report: VerifyReport) -> TextReport {
        var text = TextReport()
        for finding in report.findings {
            let place = finding.position.map { ", position \($0)" } ?? ""
            text.add(line: "\(finding.file)\(place): \(finding.what)", .bad)
        }
        for note in report.notes {
            let place = note.position.map { ", position \($0)" } ?? ""
            text.add(line: "note: \(note.file)\(place): \(Self.explanation(of: note))")
        }
        if report.isWhole {
            let size = ByteSize(bytes: report.bytes)
            text.add(line: "whole: segments \(report.segments), records \(report.records), \(size)", .good)
        }
        return text
    }

    private static func explanation(of note: VerifyNote) -> String {
        switch note.kind {
        case .tornTail:
            "a torn tail of \(ByteSize(bytes: note.bytes)), never known durable: the next writer cuts it off and keeps it"
        case .lost:
            note.sequences.map {
                "records \($0.lowerBound) to \($0.upperBound - min($0.upperBound, 1)) were lost, and repaired over"
            }
                ?? "records were lost, and repaired over"
        case .sealLine: "the seal line is not what the frames say: whoever recovers writes it anew"
        case .tailerBehindEnd: "this named tailer stands behind the end: the next writer moves it"
        case .notPermitted: "no permission to look at it"
        default: note.kind.rawValue
        }
    }
}
