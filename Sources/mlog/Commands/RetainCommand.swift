import ArgumentParser
import MappedLog

/// `mlog retain`: removes old segments.
struct RetainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retain",
        abstract: "Remove old segments, the oldest first.",
        discussion: """
            Whole segments go, raw or compacted, from the front, as long as one of the limits lets the first one go. \
            The active segment stays, and so does what is not on the disk yet, or what a protecting named tailer \
            ('mlog tail --as NAME --protect') has yet to read. It may run beside writers and tailers; a tailer that \
            was to read what goes is told which records are gone.

            --bytes counts the files of all segments, the prepared next one among them; --segments those with \
            records, the active one among them. A log can be made to do this by itself: see 'mlog create'.

            Examples:
              mlog retain --bytes 10GiB /var/log/orders
              mlog retain --age 30d --segments 100 --dry-run /var/log/orders
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Option(help: ArgumentHelp("Let all segments together have at most this many bytes.", valueName: "size"))
    var bytes: ByteSize?

    @Option(help: ArgumentHelp("Keep segments that have a younger record.", valueName: "duration"))
    var age: TimeSpan?

    @Option(help: ArgumentHelp("Keep this many segments.", valueName: "count"))
    var segments: Int?

    @Flag(help: "Only say what would be removed.")
    var dryRun = false

    @Flag(help: "Print JSON.")
    var json = false

    private var rule: Retention { Retention(bytes: bytes?.bytes, age: age?.duration, segments: segments) }

    func validate() throws {
        if bytes == nil, age == nil, segments == nil {
            throw ValidationError("Say what may stay: give --bytes, --age or --segments.")
        }
        try rule.check(namedWith: "--")
    }

    func run() throws {
        let report = try Maintenance.retain(at: log, rule: rule, isDryRun: dryRun)
        if json { return try JSONReport.print(report) }
        var text = TextReport()
        for segment in report.removed {
            text.add(line: "\(dryRun ? "to remove" : "removed"): \(segment.file)")
        }
        let bytes = ByteSize(bytes: report.bytesRemoved)
        text.add(
            line: report.removed.isEmpty
                ? "nothing to remove"
                : "\(dryRun ? "to remove" : "removed") \(report.removed.count) segments, \(bytes); "
                    + "the first record \(dryRun ? "would be" : "is") \(report.firstSequence)",
            .good
        )
        if let name = report.protectedBy { text.add(line: "more would go, but the tailer \(name) protects it") }
        try text.print()
    }
}
