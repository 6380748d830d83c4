import ArgumentParser
import MappedLog

/// `mlog restore`: makes compacted segments raw again.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make compacted segments raw again.",
        discussion: """
            It may run beside writers and tailers. A segment is decompressed, read back and compared before its \
            compacted form goes.

            Examples:
              mlog restore /var/log/orders
              mlog restore /var/log/orders 0000000004000000.mlog.lz4
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Argument(help: "The segments, by the names of their files; without any, all that are compacted.")
    var segments: [SegmentArgument] = []

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        var bar = ProgressBar()
        let report: CompactionReport
        do {
            defer { bar.clear() }
            let wanted = segments.isEmpty ? nil : segments.map(\.position)
            report = try Compactor.restore(at: log.path, segments: wanted) { bar.update($0) }
        }
        if json {
            try JSONReport.print(report)
        } else {
            var text = TextReport()
            text.add(report, done: "restored")
            try text.print()
        }
        try report.refuseDamage(of: log)
    }
}
