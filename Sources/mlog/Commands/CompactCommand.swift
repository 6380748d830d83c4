import ArgumentParser
import MappedLog

/// `mlog compact`: compresses old segments.
struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Compress old segments with LZ4.",
        discussion: """
            Every sealed segment whose records are on the disk becomes a compacted one: a standard LZ4 frame file, \
            which 'lz4 -d' restores byte for byte, and which every tailer goes on reading. It may run beside writers \
            and tailers. A segment is compressed, read back and compared before its raw form goes; killed at any \
            moment it leaves a readable log.

            A log in memory is not compacted: 'mlog snapshot --compact' makes a compacted copy of it.

            Levels 1 and 2 are LZ4 fast, 3 to 12 are LZ4 HC: slower to compress, as fast to read.

            Examples:
              mlog compact /var/log/orders
              mlog compact --level 9 --older-than 1h --keep 2 --jobs 4 /var/log/orders
              mlog compact --dry-run /var/log/orders
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Option(help: "How hard to compress: 1 to 12.")
    var level = 1

    @Option(help: "How much is compressed by itself: 64KiB, 256KiB, 1MiB or 4MiB.")
    var blockSize = ByteSize(bytes: 256 << 10)

    @Option(help: ArgumentHelp("Leave this many of the newest sealed segments raw.", valueName: "count"))
    var keep = 0

    @Option(help: ArgumentHelp("Leave segments raw that have a younger record.", valueName: "duration"))
    var olderThan: TimeSpan?

    // While one is read back, compared and flushed, another is compressed.
    @Option(help: ArgumentHelp("Compact this many segments at a time.", valueName: "count"))
    var jobs = 2

    @Flag(help: "Only say what would be compacted.")
    var dryRun = false

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard (1...12).contains(level) else { throw ValidationError("--level is 1 to 12") }
        try blockSize.checkBlockSize()
        guard keep >= 0 else { throw ValidationError("--keep is 0 or more") }
        guard (1...1024).contains(jobs) else { throw ValidationError("--jobs is 1 to 1024") }
    }

    func run() throws {
        let options = CompactionOptions(
            level: level,
            blockSize: blockSize.bytes,
            keep: keep,
            minimumAge: olderThan?.duration,
            jobs: jobs,
            isDryRun: dryRun
        )
        var bar = ProgressBar()
        let report: CompactionReport
        do {
            defer { bar.clear() }
            report = try Compactor.compact(at: log, options: options) { bar.update($0) }
        }
        if json {
            try JSONReport.print(report)
        } else {
            var text = TextReport()
            text.add(report, done: dryRun ? "to compact" : "compacted")
            try text.print()
        }
        try report.refuseDamage(of: log)
    }
}
