import ArgumentParser
import MappedLog
import SystemPackage

/// `mlog create`: makes an empty log.
struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create an empty log.",
        discussion: """
            What is chosen here is kept in the log. A segment is one file of a log, allocated as a whole before it is \
            used; a record has to fit into one.

            With one of the --retain options, whoever has the log open for writing removes its oldest segments as \
            'mlog retain' does, at once and whenever one is full. With --compact-after it compacts them as 'mlog \
            compact' does, at low priority. --like takes what is not given here from another log.

            shm:NAME makes a log in /dev/shm, sysv:KEY one in System V shared memory: gone with the machine's memory, \
            never flushed, never compacted, and bounded, the oldest segment dropped first. A KEY is a number, also \
            with 0x, or PATH#ID as ftok takes them.

            Examples:
              mlog create /var/log/orders
              mlog create --segment-size 256MiB --durability 1MiB /var/log/orders
              mlog create --retain-bytes 10GiB --retain-age 30d --compact-after 1h /var/log/orders
              mlog create --like /var/log/orders /var/log/invoices
              mlog create shm:quotes --segments 8
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Option(
        help: ArgumentHelp(
            "Bytes of a segment: 64KiB to 4GiB, a multiple of 64KiB. (default: 64MiB; in memory 8MiB)",
            valueName: "size"
        )
    )
    var segmentSize: ByteSize?

    @Option(
        help: ArgumentHelp(
            "Who may read and write the log, as chmod takes it in digits. (default: 0600)",
            valueName: "mode"
        )
    )
    var permissions: PermissionsArgument?

    @Option(help: DurabilityArgument.help, transform: DurabilityArgument.parse)
    var durability: DurabilityArgument?

    @Option(
        help: ArgumentHelp(
            "How many segments with records a log in memory keeps; it takes memory for one more. (default: 4)",
            valueName: "count"
        )
    )
    var segments: Int?

    @OptionGroup var retention: RetentionArguments

    @Option(help: ArgumentHelp("Compact segments whose newest record is older.", valueName: "duration"))
    var compactAfter: TimeSpan?

    @Option(
        help: ArgumentHelp("Take the options of this log where none are given.", valueName: "log"),
        completion: .directory,
        transform: LogLocation.parse
    )
    var like: LogLocation?

    func validate() throws {
        try retention.check()
        if let segments {
            guard log.isInMemory else {
                throw ValidationError("--segments is for logs in memory: give --retain-segments.")
            }
            guard retention.retainSegments == nil else {
                throw ValidationError("--segments and --retain-segments say the same: give one.")
            }
            guard segments > 0 else { throw ValidationError("--segments takes 1 or more.") }
        }
        guard let segmentSize else { return }
        let step: UInt64 = 64 << 10
        guard (step...4 << 30).contains(segmentSize.bytes), segmentSize.bytes.isMultiple(of: step) else {
            throw ValidationError("--segment-size takes 64KiB to 4GiB, a multiple of 64KiB, not \(segmentSize).")
        }
    }

    func run() throws {
        var options = try like.map { try LogOptions(ofLogAt: $0) } ?? LogOptions(defaultsFor: log)
        if let segmentSize { options.segmentSize = segmentSize.bytes }
        if let permissions { options.permissions = permissions.permissions }
        if let durability { options.durability = durability.durability }
        if let rule = retention.rule { options.retention = rule }
        if let segments {
            options.retention = options.retention ?? Retention()
            options.retention?.segments = segments
        }
        if let compactAfter { options.compactAfter = compactAfter.duration }
        do {
            try Log.create(at: log, options: options).close()
        } catch {
            throw log.explain(error)
        }
    }
}
