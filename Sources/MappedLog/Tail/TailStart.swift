/// Where a tailer starts.
public enum TailStart: Sendable, Hashable {
    /// At the first record that is left in the log.
    case first
    /// Behind the last record: only what is appended from now on.
    case end
    /// At the record of this number. Complexity: O(log *n*) in the number of segments and blocks.
    case sequence(UInt64)
    /// At the frame of this position, which must be one that an append or a record named.
    case position(Position)
    /// At the first record, in sequence, whose timestamp is this or later; behind the last if there is none.
    /// Complexity: O(log *n*) in the number of segments and blocks, unless the clock was set back in between.
    case time(Timestamp)
}

/// What a tailer may see.
public enum Visibility: Sendable, Hashable {
    /// All that was appended: what a crash of the machine may still take back.
    case committed
    /// Only what is on the disk.
    case durable
}
