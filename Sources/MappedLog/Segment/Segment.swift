internal import SystemPackage
internal import _CMappedLog

/// A segment in memory: its checked header and its bytes, a mapping of the raw file or the blocks of the compacted one
/// that are in use.
///
/// Unmapped when the last reference goes.
///
/// Who reads through its methods doesn't see which it is. Who reads by `start` asks ``ensure(_:)`` first, and again
/// after any other call: of a compacted segment the rest reads as 0. Safe to share between threads for reading, a
/// compacted one only through its methods; who may store, and in which order, is the protocol's matter.
@safe final class Segment: Sendable {
    let file: OpenFile
    let header: SegmentHeader
    let mapping: Mapping
    nonisolated(unsafe) let start: UnsafeMutableRawPointer
    /// The checksum register behind the salt.
    let seed: UInt32
    /// Nil: the segment is raw.
    private let blocks: ResidentBlocks?
    /// Of a compacted segment: both lines, which need no block.
    private let lines: CompactedHeader?

    var isCompacted: Bool { blocks != nil }
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
        blocks = nil
        lines = nil
    }

    init(_ compacted: CompactedFile) throws(LogError) {
        let resident = try ResidentBlocks(compacted)
        file = compacted.file
        header = compacted.header.segment
        mapping = resident.mapping
        unsafe start = mapping.start
        seed = header.seed.state
        blocks = resident
        lines = compacted.header
    }

    /// Makes a range readable by `start`, until any other call.
    ///
    /// - Throws: `damaged` where a block of a compacted segment is not what was written; `io`.
    @inline(__always)
    func ensure(_ range: Range<UInt64>) throws(LogError) {
        if let blocks { try blocks.ensure(range) }
    }

    /// Up to where frames that start at an offset or behind it may be read by `start`; an `end` frame's room left out.
    func limit(from offset: UInt64) -> UInt64 {
        let end = geometry.dataEnd - SegmentGeometry.frameHeaderSize
        guard let blocks else { return end }
        return min(end, blocks.end(from: offset))
    }

    /// The word at an offset, with acquire order: what it speaks of is complete.
    ///
    /// Of a compacted segment 0, where the block can't be read.
    @inline(__always)
    func word(at offset: UInt64) -> FrameWord {
        try? ensure(offset..<offset + 8)
        return FrameWord(rawValue: unsafe SharedWord<UInt64>(start + Int(offset)).load())
    }

    /// Looks at the frame at an offset in the data region.
    func frame(at offset: UInt64) -> FrameFinding {
        guard geometry.fits(offset: offset, size: SegmentGeometry.frameHeaderSize, isEnd: true) else {
            return .bad("the segment's data ends here")
        }
        do throws(LogError) { try ensure(offset..<offset + SegmentGeometry.frameHeaderSize) } catch {
            return .bad(error.block)
        }
        let word = word(at: offset)
        if word.rawValue == 0 { return .empty }
        if let misfit = word.misfit(at: offset, in: geometry) { return .bad(misfit) }
        do throws(LogError) { try ensure(offset..<offset + word.frameSize) } catch { return .bad(error.block) }
        // Copied before it is checked: the file may be in a stranger's hands.
        let raw = unsafe (start + Int(offset)).loadUnaligned(as: mlog_frame_header.self)
        let crc = unsafe mlog_frame_crc(start + Int(offset), Int(word.frameSize), word.rawValue, base + offset, seed)
        return FrameFinding(word: word, offset: offset, raw: raw, crc: crc)
    }

    // MARK: Header lines and index

    var activation: ActivationLine? {
        if let lines { return lines.activation }
        return ActivationLine(load(UInt64(MLOG_ACTIVATION_OFFSET), as: mlog_activation.self), header: header)
    }

    var seal: SealLine? {
        if let lines { return lines.seal }
        return SealLine(load(UInt64(MLOG_SEAL_OFFSET), as: mlog_seal.self), header: header)
    }

    /// The position behind the `end` frame; nil where there is no seal line.
    var sealedEnd: UInt64? {
        seal.map { base + $0.endOffset + SegmentGeometry.frameHeaderSize }
    }

    func indexEntry(block: UInt64) -> IndexEntry? {
        let offset = geometry.entryOffset(block: block)
        if let blocks {
            guard let raw = blocks.indexEntry(at: offset, dataEnd: geometry.dataEnd) else { return nil }
            return IndexEntry(raw, block: block, header: header)
        }
        let raw = load(offset, as: mlog_index_entry.self)
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

extension LogError {
    /// What is wrong with a block, as a reason why no frame can be read there.
    fileprivate var block: String {
        "\(found ?? code.summary)\(expected.map { " in place of \($0)" } ?? "")"
    }
}
