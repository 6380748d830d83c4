import ArgumentParser
import MappedLog
import SystemPackage

/// `mlog append`: appends records from standard input.
struct AppendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append",
        abstract: "Append records from standard input.",
        discussion: """
            Each line is a record, without its line feed; the last one need not have one. With --format \
            length-prefixed each record follows its length in four bytes, little-endian, and may hold any bytes: \
            what 'mlog tail --format length-prefixed' prints comes in again with its payloads as they were.

            With --batch, tailers see up to that many records at once, or none of them. A batch is smaller where the \
            input pauses, or where it would not fit into a segment.

            At the end everything appended is flushed to the disk, unless the durability is 'never'. If standard \
            error is a terminal, a summary follows. Timestamps are of the system's coarse clock, which moves in steps \
            of 4 ms by default: records appended within one step have the same. Ctrl-C ends it after the last whole record that was read: status \
            130.

            Examples:
              generate | mlog append /var/log/orders
              mlog append --create --durability always /var/log/orders < orders.txt
              mlog tail -n +1 --format length-prefixed a |
                mlog append --format length-prefixed b
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Create the log if there is none.")
    var create = false

    @Option(help: "How records follow one another in the input.")
    var format = InputFormat.lines

    @Option(help: DurabilityArgument.help, transform: DurabilityArgument.parse)
    var durability: DurabilityArgument?

    @Option(help: ArgumentHelp("Append up to so many records at once.", valueName: "n"))
    var batch = 1

    func validate() throws {
        if batch < 1 { throw ValidationError("--batch takes a number from 1 on, not \(batch).") }
    }

    func run() throws {
        Interruption.watch()
        let start = ContinuousClock.now
        let log = try open()
        var appender = RecordAppender(
            log: log,
            format: format,
            batchSize: batch,
            input: InputBuffer(reading: .standardInput)
        )
        let interruption: Interrupted?
        do {
            interruption = try appender.appendAll()
        } catch {
            // Flushed all the same; what has gone wrong before is what has to be told.
            try? log.close()
            summarize(appender, since: start)
            throw error
        }
        try close(log)
        summarize(appender, since: start)
        if let interruption { throw interruption }
    }

    private func close(_ log: Log) throws(LogError) {
        try sync(log)
        do throws(LogError) {
            try log.close()
        } catch {
            // All is on the disk. What is left to be noted in the log is for the writer that holds the lock.
            if error.code != .writerStalled && error.code != .flushStalled { throw error }
        }
    }

    /// Flushes, and tries again for some time while another process is stopped in a flush.
    private func sync(_ log: Log) throws(LogError) {
        let deadline = ContinuousClock.now + RecordAppender.patience
        while true {
            do throws(LogError) { return try log.sync() } catch {
                guard error.code == .flushStalled, .now < deadline, Interruption.signal == nil else { throw error }
            }
        }
    }

    private func open() throws -> Log {
        var opening = OpenOptions(stallTimeout: RecordAppender.stallTimeout)
        opening.durability = durability?.durability
        guard create else { return try Log.open(at: log, opening: opening) }
        var options = LogOptions(defaultsFor: log)
        if let durability { options.durability = durability.durability }
        do {
            return try Log.openOrCreate(at: log, options: options, opening: opening)
        } catch {
            throw log.explain(error)
        }
    }

    private func summarize(_ appender: borrowing RecordAppender, since start: ContinuousClock.Instant) {
        let terminal = Terminal(.standardError)
        guard terminal.isTerminal else { return }
        let elapsed = TimeSpan(max(ContinuousClock.now - start, .microseconds(1)))
        let records = appender.count == 1 ? "1 record" : "\(appender.count) records"
        let size = ByteSize(bytes: appender.byteCount)
        let rate = ByteSize(bytes: UInt64(min(1e18, Double(appender.byteCount) / (elapsed.duration / .seconds(1)))))
        let place = appender.first.map { "; sequence \($0) to \($0 &+ appender.count &- 1)" } ?? ""
        var errors = BufferedOutput(to: .standardError)
        errors.write("appended \(records), \(size), in \(elapsed) (\(rate)/s)\(place)\n")
        // A summary nobody can be given is no failure of what it tells of.
        try? errors.flush()
    }
}
