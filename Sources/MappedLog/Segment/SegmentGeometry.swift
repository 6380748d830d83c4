internal import _CMappedLog

/// Where things are in a segment of a given size: header page, data region, sparse index.
struct SegmentGeometry: Hashable, Sendable {
    /// In bytes, of the whole segment file.
    let segmentSize: UInt64

    static let dataStart = UInt64(MLOG_HEADER_PAGE_BYTES)
    static let frameHeaderSize = UInt64(MLOG_FRAME_HEADER_BYTES)
    static let blockSize = UInt64(MLOG_BLOCK_BYTES)
    /// Sequences are less than this, so that no arithmetic on them wraps.
    static let sequenceLimit = UInt64(1) << 63
    static let sizes: ClosedRange<UInt64> = (64 << 10)...(4 << 30)

    static func isValidSize(_ size: UInt64) -> Bool {
        sizes.contains(size) && size.isMultiple(of: blockSize)
    }

    init(segmentSize: UInt64) {
        precondition(Self.isValidSize(segmentSize))
        self.segmentSize = segmentSize
        blockCount = segmentSize / Self.blockSize
        let page = UInt64(MLOG_INDEX_ALIGNMENT)
        let indexSize = (blockCount * UInt64(MLOG_INDEX_ENTRY_BYTES) + page - 1) / page * page
        dataEnd = segmentSize - indexSize
        largestAppend = dataEnd - Self.dataStart - Self.frameHeaderSize
        largestPayload = min(largestAppend - Self.frameHeaderSize, UInt64(UInt32.max)) / 8 * 8
    }

    let blockCount: UInt64

    /// The offset of the index, and the end of the data region.
    let dataEnd: UInt64

    /// What the frames of one append may occupy at most: a whole data region but its `end` frame.
    let largestAppend: UInt64

    /// The largest payload of a record, in bytes.
    let largestPayload: UInt64

    func entryOffset(block: UInt64) -> UInt64 { dataEnd + block * UInt64(MLOG_INDEX_ENTRY_BYTES) }

    /// Whether a segment may have this base position: a multiple of the size, so low that no position in it is 2⁶³.
    func isBase(_ base: UInt64) -> Bool { base.isMultiple(of: segmentSize) && base < 1 << 63 }

    func base(of position: UInt64) -> UInt64 { position / segmentSize * segmentSize }

    func offset(of position: UInt64) -> UInt64 { position % segmentSize }

    /// Whether a frame of this size, with room for an `end` frame behind it unless it is one, fits at this offset.
    func fits(offset: UInt64, size: UInt64, isEnd: Bool) -> Bool {
        let room = isEnd ? 0 : Self.frameHeaderSize
        return offset >= Self.dataStart && offset.isMultiple(of: 8) && size <= dataEnd && offset <= dataEnd
            && offset + size + room <= dataEnd
    }

    /// Whether a frame may start at this position.
    func isFrameStart(_ position: UInt64) -> Bool {
        let offset = offset(of: position)
        return offset >= Self.dataStart && offset <= dataEnd && position.isMultiple(of: 8)
    }
}
