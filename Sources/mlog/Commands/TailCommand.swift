import ArgumentParser
import MappedLog
import SystemPackage

/// `mlog tail`: prints records, and follows the log.
struct TailCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Print the last records, or those from some place on, and follow the log.",
        discussion: """
            Without --from, -n and --as it prints the last 10 records. With -f it goes on with what is appended, \
            across segments, until Ctrl-C (status 0) or until nobody reads the output any more.

            --from takes 'first', 'end' (what is appended from now on, with -f), 'sequence:N', 'position:P', \
            'time:T' (RFC 3339), or a duration before now, such as '-5m'.

            Where records are gone from the log, by retention or by a repair, it says so on standard error and goes \
            on behind them; the status is then 1 in the end, but for -f and Ctrl-C.

            --format json prints one object a line: sequence, position, timestamp, and payload if it is UTF-8, else \
            payloadBase64.

            --as NAME tails under a name: it begins where that name left off (or, the first time, at --from, else at \
            the first record). The place is kept after the output was written, in -f once a second and at the end, \
            so after a crash some records may come again, but none is left out. With --protect, retention removes \
            nothing that NAME has yet to read, until --no-protect.

            '--format length-prefixed' keeps any payload: with 'mlog append --format length-prefixed' it moves \
            records to another log or out of any.

            Examples:
              mlog tail -f /var/log/orders
              mlog tail -n 100 --reverse /var/log/orders
              mlog tail --from time:2025-11-23T12:00:00Z --count 5 /var/log/orders
              mlog tail --from -5m --format json /var/log/orders | jq .payload
              mlog tail --as billing -f /var/log/orders | bill
              mlog tail -n +1 --format length-prefixed a |
                mlog append --format length-prefixed b
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Option(
        name: .customShort("n", allowingJoined: true),
        parsing: .unconditional,
        help: ArgumentHelp("Print the last N records, or with +N all from the Nth on.", valueName: "N"),
        transform: TailLength.parse
    )
    var length: TailLength?

    @Flag(name: .customShort("f"), help: "Follow: go on with what is appended.")
    var follows = false

    @Option(
        name: .customLong("from"),
        parsing: .unconditional,
        help: ArgumentHelp("Begin there: \(StartArgument.synopsis).", valueName: "place"),
        transform: StartArgument.parse
    )
    var from: StartArgument?

    @Option(help: ArgumentHelp("Stop after N records.", valueName: "N"))
    var count: UInt64?

    @Option(help: "How to print a record.")
    var format = RecordFormat.lines

    @Flag(help: "Print only what is known to be on the disk.")
    var durable = false

    @Option(name: .customLong("as"), help: ArgumentHelp("Tail under a name that the log remembers.", valueName: "name"))
    var name: String?

    @Flag(inversion: .prefixedNo, help: "Keep retention from what --as has yet to read, from now on.")
    var protect: Bool?

    @Flag(help: "Print the newest record first.")
    var reverse = false

    func validate() throws {
        if length != nil, from != nil { throw ValidationError("-n and --from each say where to begin: give one.") }
        if length != nil, name != nil {
            throw ValidationError("--as begins where that name left off: leave out -n, or use --count.")
        }
        if reverse, follows { throw ValidationError("--reverse has an end and -f has none: give one.") }
        if reverse, case .fixed(.end)? = from {
            throw ValidationError("--reverse ends at --from, and nothing is behind the end.")
        }
        if reverse, name != nil { throw ValidationError("--as goes forward only: leave out --reverse.") }
        if protect != nil, name == nil { throw ValidationError("--protect needs a name: give --as, too.") }
        if name?.isEmpty == true { throw ValidationError("--as needs a name that isn't empty.") }
    }

    func run() throws {
        Interruption.watch()
        var printer = RecordPrinter(format: format, limit: count)
        do {
            if let name {
                try tail(as: name, with: &printer)
            } else {
                try tail(with: &printer)
            }
        } catch is Interrupted where follows {
            // To have followed until somebody said stop is to have done it all.
            return
        }
        if printer.gaps.wereReported { throw AlreadyReported() }
    }

    private var visibility: Visibility { durable ? .durable : .committed }

    private func tail(as name: String, with printer: inout RecordPrinter) throws {
        let log = try Log.openReadOnly(at: log.path)
        let start = from?.start ?? .first
        let tailer = try log.tailer(named: name, startingAt: start, visibility: visibility, protecting: protect)
        var source = CommittingTailer(tailer)
        try printer.print(from: &source, until: follows ? nil : log.nextSequence)
    }

    private func tail(with printer: inout RecordPrinter) throws {
        let log = try Log.openReadOnly(at: log.path)
        var tailer = try openTailer(of: log, reportingTo: &printer.gaps)
        // What a tailer that sees only durable records takes for the end is the end of all.
        let end = durable ? .position(try log.durablePosition) : TailStart.end
        if from == nil { try seekToLength(&tailer, before: end, reportingTo: &printer.gaps) }
        if reverse {
            try printer.printReversed(from: &tailer, before: end)
        } else {
            try printer.print(from: &tailer, until: follows ? nil : log.nextSequence)
        }
    }

    /// Goes from the first record to where `-n` wants to begin.
    private func seekToLength(
        _ tailer: inout Tailer,
        before end: TailStart,
        reportingTo gaps: inout GapReporter
    ) throws(LogError) {
        let first = tailer.sequence
        try tailer.seek(to: end)
        let end = tailer.sequence
        // A log that was tampered with may well end before it begins.
        let count = end - min(first, end)
        let start =
            switch length ?? .last(10) {
            case .last(let wanted): end - min(wanted, count)
            case .fromRecord(let number): first + min(max(number, 1) - 1, count)
            }
        do throws(LogError) {
            try tailer.seek(to: .sequence(start))
        } catch  where error.code == .recordsGone {
            try tailer.seek(to: Self.start(behind: error, reportingTo: &gaps))
        }
    }

    private func openTailer(of log: Log, reportingTo gaps: inout GapReporter) throws(LogError) -> Tailer {
        let gone: LogError
        do throws(LogError) {
            return try log.tailer(from: from?.start ?? .first, visibility: visibility)
        } catch {
            gone = error
        }
        guard gone.code == .recordsGone else { throw gone }
        return try log.tailer(from: Self.start(behind: gone, reportingTo: &gaps), visibility: visibility)
    }

    private static func start(
        behind error: LogError,
        reportingTo gaps: inout GapReporter
    ) throws(LogError) -> TailStart {
        guard let gone = error.goneSequences else { throw error }
        try gaps.pass(error)
        return .sequence(gone.upperBound)
    }
}
