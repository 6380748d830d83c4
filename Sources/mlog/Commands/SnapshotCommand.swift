import ArgumentParser
import MappedLog

/// `mlog snapshot`: copies a log.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Copy a log while others write to it.",
        discussion: """
            The copy is a log: all records that are visible when it begins, with their sequences and positions, the \
            options and the named tailers. It is read back and found whole, and on the disk, before the command \
            ends; a copy that fails is removed. Where the file system can, it shares its blocks with the original.

            Examples:
              mlog snapshot /var/log/orders /backup/orders-2025-11-23
              mlog snapshot --compact /var/log/orders /backup/orders-2025-11-23
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Argument(
        help: "Where the copy is to be: a path that is not there, or an empty directory.",
        completion: .directory,
        transform: LogLocation.parse
    )
    var destination: LogLocation

    @Flag(help: "Compact the sealed segments of the copy.")
    var compact = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let report: SnapshotReport
        do {
            report = try Maintenance.snapshot(
                at: log.path,
                to: destination.path,
                compaction: compact ? CompactionOptions() : nil
            )
        } catch {
            throw destination.explain(error)
        }
        if json { return try JSONReport.print(report) }
        var text = TextReport()
        let count = report.nextSequence - report.firstSequence
        let compacted = report.compactedSegments == 0 ? "" : " (\(report.compactedSegments) compacted)"
        text.add(
            line: "\(count) records, next sequence \(report.nextSequence), in \(report.segments) "
                + "segments\(compacted), \(ByteSize(bytes: report.bytes)): \(report.destination)",
            .good
        )
        try text.print()
    }
}
