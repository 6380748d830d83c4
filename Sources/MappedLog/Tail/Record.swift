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
/// As long as one record of a segment is kept, the address range of the whole segment is. A record of a compacted
/// segment is a copy of its own instead, since the blocks it stood in are soon used for others.
@safe public struct RetainedRecord: Sendable {
    /// The record's number in the log, counted from 0, without gaps.
    public let sequence: UInt64
    /// The position of the record's frame.
    public let position: Position
    /// What the clock said when the record was appended, or what its appender said instead.
    public let timestamp: Timestamp
    private let owner: any AnyObject & Sendable
    private nonisolated(unsafe) let start: UnsafeRawPointer
    private let byteCount: Int

    init(segment: Segment, range: Range<Int>, sequence: UInt64, position: UInt64, timestamp: Int64) {
        byteCount = range.count
        let payload = unsafe UnsafeRawPointer(segment.start + range.lowerBound)
        if segment.isCompacted {
            let copy = unsafe PayloadCopy(UnsafeRawBufferPointer(start: payload, count: range.count))
            unsafe start = UnsafeRawPointer(copy.start)
            owner = copy
        } else {
            unsafe start = payload
            owner = segment
        }
        self.sequence = sequence
        self.position = Position(rawValue: position)
        self.timestamp = Timestamp(nanosecondsSince1970: timestamp)
    }

    /// The bytes that were appended, in the mapping; no copy of them is made here.
    ///
    /// Not to be used in a forked child.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: start, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}

/// The payload of a record of a compacted segment.
@safe private final class PayloadCopy: Sendable {
    nonisolated(unsafe) let start: UnsafeMutableRawPointer

    init(_ payload: UnsafeRawBufferPointer) {
        unsafe start = .allocate(byteCount: max(1, payload.count), alignment: 8)
        if let bytes = payload.baseAddress { unsafe start.copyMemory(from: bytes, byteCount: payload.count) }
    }

    deinit {
        unsafe start.deallocate()
    }
}
