import MappedLog

/// Where records to print come from.
protocol RecordSource: ~Copyable {
    /// The sequence of the next record.
    var sequence: UInt64 { get }

    /// Hands out up to `count` records that are there, and tells how many these were.
    mutating func read(
        upTo count: Int,
        _ body: (borrowing Record) throws(LogError) -> Void
    ) throws(LogError) -> Int

    /// Waits until there is a record, or until the time is over; tells whether there is one.
    mutating func wait(upTo: Duration) throws(LogError) -> Bool

    /// Takes note that all records handed out have been written to where they go; nothing more is read if `isLast`.
    mutating func outputWasWritten(isLast: Bool) throws(LogError)
}

extension Tailer: RecordSource {
    /// A tailer without a name has no place to keep.
    mutating func outputWasWritten(isLast: Bool) throws(LogError) {}
}
