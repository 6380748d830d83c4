internal import SystemPackage
internal import _CMappedLog

/// A raw segment in memory: its checked header and its mapping.
///
/// Unmapped when the last reference goes.
///
/// Safe to share between threads for reading; who may store, and in which order, is the protocol's matter.
@safe final class Segment: Sendable {
    let file: OpenFile
    let header: SegmentHeader
    let mapping: Mapping
    nonisolated(unsafe) let start: UnsafeMutableRawPointer
    /// The checksum register behind the salt.
    let seed: UInt32

    var base: UInt64 { header.base }
    var geometry: SegmentGeometry { header.geometry }

    init(_ file: OpenFile, base: UInt64, of log: (id: LogID, geometry: SegmentGeometry), writable: Bool)
        throws(LogError)
    {
        self.file = file
        header = try SegmentHeader(reading: file, base: base, of: log)
        mapping = try Mapping(file, byteCount: log.geometry.segmentSize, writable: writable)
        unsafe start = mapping.start
        seed = header.seed.state
    }

    /// The word at an offset, with acquire order: what it speaks of is complete.
    @inline(__always)
    func word(at offset: UInt64) -> FrameWord {
        FrameWord(rawValue: unsafe SharedWord<UInt64>(start + Int(offset)).load())
    }

    /// Looks at the frame at an offset in the data region.
    func frame(at offset: UInt64) -> FrameFinding {
        guard geometry.fits(offset: offset, size: SegmentGeometry.frameHeaderSize, isEnd: true) else {
            return .bad("the segment's data ends here")
        }
        let word = word(at: offset)
        if word.rawValue == 0 { return .empty }
        if let misfit = word.misfit(at: offset, in: geometry) { return .bad(misfit) }
        // Copied before it is checked: the file may be in a stranger's hands.
        let raw = unsafe (start + Int(offset)).loadUnaligned(as: mlog_frame_header.self)
        let crc = unsafe mlog_frame_crc(start + Int(offset), Int(word.frameSize), word.rawValue, base + offset, seed)
        return FrameFinding(word: word, offset: offset, raw: raw, crc: crc)
    }

    // MARK: Header lines and index

    var activation: ActivationLine? {
        ActivationLine(load(UInt64(MLOG_ACTIVATION_OFFSET), as: mlog_activation.self), header: header)
    }

    var seal: SealLine? {
        SealLine(load(UInt64(MLOG_SEAL_OFFSET), as: mlog_seal.self), header: header)
    }

    func indexEntry(block: UInt64) -> IndexEntry? {
        let raw = load(geometry.entryOffset(block: block), as: mlog_index_entry.self)
        return IndexEntry(raw, block: block, header: header)
    }

    func store(_ line: ActivationLine) {
        store(line.encoded(for: header), at: UInt64(MLOG_ACTIVATION_OFFSET))
    }

    func store(_ line: SealLine) {
        store(line.encoded(for: header), at: UInt64(MLOG_SEAL_OFFSET))
    }

    func clearSeal() {
        store(mlog_seal(), at: UInt64(MLOG_SEAL_OFFSET))
    }

    func store(_ entry: IndexEntry) {
        let block = entry.offset / SegmentGeometry.blockSize
        store(entry.encoded(for: header), at: geometry.entryOffset(block: block))
    }

    func clearIndexEntry(block: UInt64) {
        store(mlog_index_entry(), at: geometry.entryOffset(block: block))
    }

    private func load<Layout: BitwiseCopyable>(_ offset: UInt64, as layout: Layout.Type) -> Layout {
        unsafe (start + Int(offset)).loadUnaligned(as: layout)
    }

    private func store<Layout: BitwiseCopyable>(_ value: Layout, at offset: UInt64) {
        unsafe (start + Int(offset)).storeBytes(of: value, as: Layout.self)
    }
}
