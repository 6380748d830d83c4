import MappedLog
import SystemPackage

/// Prints records to standard output.
struct RecordPrinter: ~Copyable {
    /// Records between two looks at the clock and at what a user wants.
    private static let pieceSize: UInt64 = 256
    /// Bounds how late a user's wish to stop is noticed.
    private static let pause = Duration.milliseconds(100)
    /// How long output may stay unwritten while there is always more.
    private static let longestDelay = Duration.seconds(1)

    private let format: RecordFormat
    private var remaining: UInt64
    /// The records that should have been printed and are gone.
    var gaps = GapReporter()
    private var output = BufferedOutput(to: .standardOutput)

    /// - Parameters:
    ///   - format: How each record is printed.
    ///   - limit: The number of records after which to stop; `nil` for none.
    init(format: RecordFormat, limit: UInt64?) {
        self.format = format
        remaining = limit ?? .max
    }

    /// Prints records as they come.
    ///
    /// The output is written whenever there are no more records for the moment.
    ///
    /// - Parameters:
    ///   - source: Where they come from.
    ///   - end: The sequence before which to stop; `nil` to wait for more for ever.
    /// - Throws: `Interrupted` after a signal, `OutputClosed`, and what the log and the output have to say.
    mutating func print(from source: inout some RecordSource & ~Copyable, until end: UInt64?) throws {
        do {
            try printPieces(from: &source, until: end)
        } catch {
            // What came before a signal, or before damage, is good.
            try output.flush()
            try source.outputWasWritten(isLast: true)
            throw error
        }
        try output.flush()
        try source.outputWasWritten(isLast: true)
    }

    private mutating func printPieces(from source: inout some RecordSource & ~Copyable, until end: UInt64?) throws {
        var lastFlush = ContinuousClock.now
        while let count = pieceSize(at: source.sequence, until: end) {
            if let signal = Interruption.signal { throw Interrupted(signal: signal) }
            let read = try printPiece(from: &source, upTo: count)
            if read > 0, ContinuousClock.now - lastFlush < Self.longestDelay { continue }
            try output.flush()
            try source.outputWasWritten(isLast: false)
            lastFlush = .now
            if read > 0 { continue }
            if end != nil { return }
            do throws(LogError) {
                if try source.wait(upTo: Self.pause) { continue }
            } catch {
                try gaps.pass(error)
                continue
            }
            try output.checkReader()
        }
    }

    /// Prints everything between the place of the tailer and `end`, the newest record first.
    mutating func printReversed(from tailer: inout Tailer, before end: TailStart) throws {
        let first = tailer.sequence
        try tailer.seek(to: end)
        do {
            try printReversed(from: &tailer, downTo: first)
        } catch {
            try output.flush()
            throw error
        }
        try output.flush()
    }

    private mutating func printReversed(from tailer: inout Tailer, downTo first: UInt64) throws {
        while remaining > 0, tailer.sequence > first {
            if let signal = Interruption.signal { throw Interrupted(signal: signal) }
            do throws(LogError) {
                guard let record = try tailer.previous() else { return }
                output.write(record, as: format)
                remaining -= 1
            } catch {
                if error.code == .recordsGone { try output.flush() }
                try gaps.pass(error)
            }
            try output.check()
        }
    }

    /// How many records to read at once; `nil` if enough was printed.
    private func pieceSize(at sequence: UInt64, until end: UInt64?) -> Int? {
        let left = min(remaining, end.map { $0 - min($0, sequence) } ?? .max)
        return left == 0 ? nil : Int(min(left, Self.pieceSize))
    }

    /// Prints up to `count` records, or those before a gap; 0 if there are none for the moment.
    private mutating func printPiece(from source: inout some RecordSource & ~Copyable, upTo count: Int) throws -> Int {
        let format = format
        var isBehindGap = false
        var read = 0
        do throws(LogError) {
            _ = try source.read(upTo: count) { record in
                output.write(record, as: format)
                read += 1
            }
        } catch {
            // What came before the gap is written before the gap is told.
            if error.code == .recordsGone { try output.flush() }
            try gaps.pass(error)
            isBehindGap = true
        }
        try output.check()
        remaining -= UInt64(read)
        return isBehindGap ? max(read, 1) : read
    }
}
