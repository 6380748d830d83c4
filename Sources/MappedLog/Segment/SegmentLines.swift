internal import _CMappedLog

/// The activation line: what the roll that made the segment active knew of the log before it.
struct ActivationLine: Hashable, Sendable {
    let baseSequence: UInt64
    /// The largest timestamp of all records before the segment; `Int64.min`: there was none.
    let largestTimestampBefore: Int64

    init(baseSequence: UInt64, largestTimestampBefore: Int64) {
        self.baseSequence = baseSequence
        self.largestTimestampBefore = largestTimestampBefore
    }

    /// Nil: the line is absent or bad.
    init?(_ raw: mlog_activation, header: SegmentHeader) {
        guard raw.tag == MLOG_ACTIVATION_TAG, raw.crc == Self.checksum(raw, header),
            raw.base_sequence < SegmentGeometry.sequenceLimit
        else { return nil }
        baseSequence = raw.base_sequence
        largestTimestampBefore = raw.largest_timestamp_before
    }

    func encoded(for header: SegmentHeader) -> mlog_activation {
        var raw = mlog_activation()
        raw.tag = MLOG_ACTIVATION_TAG
        raw.base_sequence = baseSequence
        raw.largest_timestamp_before = largestTimestampBefore
        raw.crc = Self.checksum(raw, header)
        return raw
    }

    private static func checksum(_ raw: mlog_activation, _ header: SegmentHeader) -> UInt32 {
        var checksum = header.seed
        checksum.add(header.base)
        checksum.add(raw, first: 28)
        return checksum.value
    }
}

/// The seal line: what the segment holds, known once its `end` frame is written.
struct SealLine: Hashable, Sendable {
    let endOffset: UInt64
    let recordCount: UInt64
    /// `Int64.max` and `Int64.min` when there is no record.
    let smallestTimestamp: Int64
    let largestTimestamp: Int64

    init(endOffset: UInt64, recordCount: UInt64, smallestTimestamp: Int64, largestTimestamp: Int64) {
        self.endOffset = endOffset
        self.recordCount = recordCount
        self.smallestTimestamp = smallestTimestamp
        self.largestTimestamp = largestTimestamp
    }

    /// Nil: not sealed yet, or a bad line, which says the same.
    init?(_ raw: mlog_seal, header: SegmentHeader) {
        guard raw.tag == MLOG_SEAL_TAG, raw.crc == Self.checksum(raw, header),
            header.geometry.fits(offset: raw.end_offset, size: SegmentGeometry.frameHeaderSize, isEnd: true)
        else { return nil }
        endOffset = raw.end_offset
        recordCount = raw.record_count
        smallestTimestamp = raw.smallest_timestamp
        largestTimestamp = raw.largest_timestamp
    }

    func encoded(for header: SegmentHeader) -> mlog_seal {
        var raw = mlog_seal()
        raw.tag = MLOG_SEAL_TAG
        raw.end_offset = endOffset
        raw.record_count = recordCount
        raw.smallest_timestamp = smallestTimestamp
        raw.largest_timestamp = largestTimestamp
        raw.crc = Self.checksum(raw, header)
        return raw
    }

    private static func checksum(_ raw: mlog_seal, _ header: SegmentHeader) -> UInt32 {
        var checksum = header.seed
        checksum.add(header.base)
        checksum.add(raw, first: 44)
        return checksum.value
    }
}

/// An entry of the sparse index.
///
/// A hint: who uses it checks it against the frame it names.
struct IndexEntry: Hashable, Sendable {
    let offset: UInt64
    /// Of the first record at or behind the frame.
    let sequence: UInt64
    /// Of the segment's records before the frame; `Int64.min`: none.
    let largestTimestampBefore: Int64

    @inline(__always)
    init(offset: UInt64, sequence: UInt64, largestTimestampBefore: Int64) {
        self.offset = offset
        self.sequence = sequence
        self.largestTimestampBefore = largestTimestampBefore
    }

    /// Nil: the entry is missing or bad, or its frame doesn't start in its block.
    init?(_ raw: mlog_index_entry, block: UInt64, header: SegmentHeader) {
        let offset = UInt64(raw.offset)
        guard offset >= SegmentGeometry.dataStart, offset.isMultiple(of: 8),
            offset / SegmentGeometry.blockSize == block, offset < header.geometry.dataEnd,
            raw.sequence < SegmentGeometry.sequenceLimit,
            raw.crc == Self.checksum(raw, header)
        else { return nil }
        self.offset = offset
        sequence = raw.sequence
        largestTimestampBefore = raw.largest_timestamp
    }

    func encoded(for header: SegmentHeader) -> mlog_index_entry {
        var raw = mlog_index_entry()
        raw.offset = UInt32(offset)
        raw.sequence = sequence
        raw.largest_timestamp = largestTimestampBefore
        raw.crc = Self.checksum(raw, header)
        return raw
    }

    private static func checksum(_ raw: mlog_index_entry, _ header: SegmentHeader) -> UInt32 {
        var checksum = header.seed
        checksum.add(header.base + UInt64(raw.offset))
        unsafe withUnsafeBytes(of: raw) { bytes in
            unsafe checksum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<4]))
            unsafe checksum.add(UnsafeRawBufferPointer(rebasing: bytes[8..<32]))
        }
        return checksum.value
    }
}
