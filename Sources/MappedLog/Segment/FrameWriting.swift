internal import _CMappedLog

extension SegmentHeader {
    /// The header of a frame without payload, or with one of zeros, as it stands in the file.
    ///
    /// It states that everything before it is durable.
    ///
    /// - Parameters:
    ///   - kind: `end` or `lost`.
    ///   - offset: Of the frame in the segment.
    ///   - size: Of the whole frame: 24 or more, a multiple of 8.
    ///   - timestamp: Or, of a lost frame, the sequence of the next record.
    /// - Returns: The header, checksum and all.
    func frameHeader(_ kind: FrameWord.Kind, at offset: UInt64, size: UInt64, timestamp: Int64) -> mlog_frame_header {
        precondition(size >= SegmentGeometry.frameHeaderSize && size.isMultiple(of: 8))
        var raw = mlog_frame_header()
        raw.word = FrameWord(kind: kind, length: UInt32(size - SegmentGeometry.frameHeaderSize)).rawValue
        raw.timestamp = timestamp
        var checksum = seed
        checksum.add(base + offset)
        checksum.add(raw.word)
        unsafe withUnsafeBytes(of: raw) { unsafe checksum.add(UnsafeRawBufferPointer(rebasing: $0[12...])) }
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        var left = Int(size - SegmentGeometry.frameHeaderSize)
        while left > 0 {
            let count = min(left, zeros.count)
            unsafe zeros.withUnsafeBytes { unsafe checksum.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            left -= count
        }
        raw.crc = checksum.value
        return raw
    }
}
