/// Where an appended record stands.
public struct Appended: Hashable, Sendable {
    /// The record's number in the log, counted from 0, without gaps.
    public let sequence: UInt64
    /// The position of the record's frame.
    public let position: Position
    /// The position behind the record's frame: once the durable watermark reaches it, the record is durable.
    public let end: Position

    @inline(__always)
    init(sequence: UInt64, position: UInt64, end: UInt64) {
        self.sequence = sequence
        self.position = Position(rawValue: position)
        self.end = Position(rawValue: end)
    }
}

/// Where the records of an appended batch stand.
public struct AppendedBatch: Hashable, Sendable {
    /// The batch's first record.
    public let first: Appended
    /// The batch's last record.
    public let last: Appended
    /// How many records the batch has; their sequences follow each other.
    public let count: Int
}
