import ArgumentParser
import MappedLog

/// `mlog repair`: makes a damaged log usable, at the price of what is damaged.
struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Make a damaged log usable again, without what is damaged.",
        discussion: """
            It says what it skipped, and keeps that in lost+found. The log must have no writers. Copy the log first \
            if what is lost matters: a later version may save more of it.

            Examples:
              mlog repair /var/log/orders
              mlog repair --json /var/log/orders
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let report = try Maintenance.repair(at: log)
        if json {
            try JSONReport.print(report)
        } else {
            try text(report).print()
        }
    }

    private func text(_ report: RepairReport) -> TextReport {
        var text = TextReport()
        for range in report.skippedRanges {
            let bytes = range.upperBound - range.lowerBound
            text.add(line: "skipped \(bytes) bytes from position \(range.lowerBound) on", .bad)
        }
        for damage in report.unmended {
            let advice = damage.kind == .namedTailer ? "; 'mlog tailers \(log) reset NAME --to …' sets it anew" : ""
            text.add(line: "left as it is: \(damage.file): \(damage.what)\(advice)", .bad)
        }
        if report.mended.isEmpty && report.unmended.isEmpty && report.skippedRanges.isEmpty {
            text.add(line: "nothing was damaged", .good)
        }
        for damage in report.mended where damage.affectedPositions == nil {
            text.add(line: "mended: \(damage.file): \(damage.what)")
        }
        if report.skippedRecords > 0 { text.add(line: "\(report.skippedRecords) records are lost", .bad) }
        text.add(kept: report.kept)
        text.add(report.recovery)
        return text
    }
}
