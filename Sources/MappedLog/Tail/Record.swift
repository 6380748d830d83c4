/// A record, borrowed from the log's mapping: no byte of it is copied.
///
/// It lives until the tailer that handed it out is used again; the compiler sees to that. Copy what is to live
/// longer, or take ``RetainedRecord``s. The payload was checked against its checksum when it was handed out.
public struct Record: ~Escapable {
    /// The bytes that were appended, in the mapping.
    public let payload: RawSpan
    /// The record's number in the log, counted from 0, without gaps.
    public let sequence: UInt64
    /// The position of the record's frame.
    public let position: Position
    /// What the clock said when the record was appended, or what its appender said instead.
    public let timestamp: Timestamp

    @inline(__always)
    @_lifetime(copy payload)
    init(payload: RawSpan, sequence: UInt64, position: UInt64, timestamp: Int64) {
        self.payload = payload
        self.sequence = sequence
        self.position = Position(rawValue: position)
        self.timestamp = Timestamp(nanosecondsSince1970: timestamp)
    }
}

/// A record that keeps the mapping of its segment alive, and so may be kept, stored and sent between threads.
///
/// As long as one record of a segment is kept, the address range of the whole segment is.
@safe public struct RetainedRecord: Sendable {
    /// The record's number in the log, counted from 0, without gaps.
    public let sequence: UInt64
    /// The position of the record's frame.
    public let position: Position
    /// What the clock said when the record was appended, or what its appender said instead.
    public let timestamp: Timestamp
    private let segment: Segment
    private let range: Range<Int>

    init(segment: Segment, range: Range<Int>, sequence: UInt64, position: UInt64, timestamp: Int64) {
        self.segment = segment
        self.range = range
        self.sequence = sequence
        self.position = Position(rawValue: position)
        self.timestamp = Timestamp(nanosecondsSince1970: timestamp)
    }

    /// The bytes that were appended, in the mapping; no copy.
    ///
    /// Not to be used in a forked child.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: segment.start + range.lowerBound, byteCount: range.count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
