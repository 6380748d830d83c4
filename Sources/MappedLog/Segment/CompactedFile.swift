internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A compacted segment's file, opened and checked: which block stands where, and how to decompress one.
///
/// Memory: 16 bytes for each block. Nothing is allocated before what the file says of sizes is proved against the
/// log's segment size and the file's own. Safe to share between threads.
final class CompactedFile: Sendable {
    let file: OpenFile
    let header: CompactedHeader
    private let table: [mlog_compacted_entry]

    var base: UInt64 { header.segment.base }
    var segmentSize: UInt64 { header.segment.geometry.segmentSize }
    var blockSize: UInt64 { header.blockSize }
    var blockCount: Int { table.count }

    private static let frameStart = UInt64(MLOG_COMPACTED_HEADER_BYTES)
    private static let firstBlock = frameStart + UInt64(MLOG_LZ4_FRAME_HEADER_BYTES)
    private static let overhead = UInt64(MLOG_LZ4_BLOCK_OVERHEAD)

    /// - Parameters:
    ///   - file: The segment's file.
    ///   - base: What its name says.
    ///   - log: What the segment must agree with; nil accepts any log and segment size.
    /// - Throws: As a segment's header does; `damaged` or `truncatedSegment` where the seek table is not what it must be.
    init(_ file: OpenFile, base: UInt64, of log: (id: LogID, geometry: SegmentGeometry)?) throws(LogError) {
        self.file = file
        header = try CompactedHeader(reading: file, base: base, of: log)
        let footer = try Self.footer(file, header)
        table = try Self.table(file, footer, header)
        try checkFrame(footer)
    }

    /// How many bytes of the segment a block holds.
    func range(of block: Int) -> Range<UInt64> {
        let start = UInt64(block) * blockSize
        return start..<min(start + blockSize, segmentSize)
    }

    // MARK: Footer and table

    private static func failure(_ file: OpenFile, _ base: UInt64, _ expected: String, _ found: String) -> LogError {
        LogError(
            .damaged,
            file: file.path,
            position: Position(rawValue: base),
            expected: expected,
            found: found,
            advice: "restore the file from a copy, or run `mlog repair`"
        )
    }

    private static func footer(_ file: OpenFile, _ header: CompactedHeader) throws(LogError) -> mlog_compacted_footer {
        let segment = header.segment
        let footerSize = UInt64(MLOG_COMPACTED_FOOTER_BYTES)
        let count = (segment.geometry.segmentSize + header.blockSize - 1) / header.blockSize
        let tableSize = 8 + count * UInt64(MLOG_COMPACTED_ENTRY_BYTES) + footerSize
        // Each block has one byte at least.
        let least = firstBlock + count * (overhead + 1) + UInt64(MLOG_LZ4_FRAME_END_BYTES) + tableSize
        guard file.byteCount >= least else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                position: Position(rawValue: segment.base),
                expected: "at least \(least) bytes for \(count) blocks",
                found: "\(file.byteCount) bytes",
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        var footer = mlog_compacted_footer()
        try file.read(&footer, at: file.byteCount - footerSize)
        guard footer.tag == MLOG_COMPACTED_FOOTER_TAG else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                position: Position(rawValue: segment.base),
                expected: "a footer at the end of the file",
                found: "none",
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        guard footer.segment_bytes == segment.geometry.segmentSize, footer.base_position == segment.base,
            footer.salt == segment.salt, footer.block_bytes == UInt32(header.blockSize),
            footer.block_count == UInt32(count), footer.table_offset == file.byteCount - tableSize
        else {
            throw failure(file, segment.base, "a footer that agrees with the header and the file's size", "another")
        }
        return footer
    }

    private static func table(
        _ file: OpenFile,
        _ footer: mlog_compacted_footer,
        _ header: CompactedHeader
    ) throws(LogError) -> [mlog_compacted_entry] {
        let base = header.segment.base
        let start = footer.table_offset
        let bytes = try file.read(Int(file.byteCount - start), at: start)
        var checksum = Checksum()
        let crcOffset = bytes.count - Int(MLOG_COMPACTED_FOOTER_BYTES) + 52
        guard crcOffset > 8, UInt64(bytes.count) == file.byteCount - start else {
            throw failure(file, base, "a seek table", "a file that became shorter")
        }
        unsafe bytes.withUnsafeBytes { unsafe checksum.add(UnsafeRawBufferPointer(rebasing: $0[..<crcOffset])) }
        guard checksum.value == footer.crc else {
            throw failure(
                file,
                base,
                "seek table CRC \(checksum.value.hexadecimal(digits: 8))",
                footer.crc.hexadecimal(digits: 8)
            )
        }
        let (magic, size) = unsafe bytes.withUnsafeBytes {
            unsafe ($0.loadUnaligned(as: UInt32.self), $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        }
        guard magic == MLOG_COMPACTED_TABLE_MAGIC, Int(size) == bytes.count - 8 else {
            throw failure(file, base, "a skippable frame of \(bytes.count - 8) bytes", "another, of \(size)")
        }
        var expected = firstBlock
        var entries: [mlog_compacted_entry] = []
        entries.reserveCapacity(Int(footer.block_count))
        for block in 0..<Int(footer.block_count) {
            let entry = unsafe bytes.withUnsafeBytes {
                unsafe $0.loadUnaligned(
                    fromByteOffset: 8 + block * Int(MLOG_COMPACTED_ENTRY_BYTES),
                    as: mlog_compacted_entry.self
                )
            }
            let left = header.segment.geometry.segmentSize - UInt64(block) * header.blockSize
            let length = min(header.blockSize, left)
            let stored = entry.dataSize
            guard entry.offset == expected, entry.isStored ? stored == length : stored > 0 && stored < length else {
                throw failure(
                    file,
                    base,
                    "block \(block) at offset \(expected), of at most \(length) bytes",
                    "\(stored) bytes at offset \(entry.offset)"
                )
            }
            entries.append(entry)
            // At most 65,536 blocks of 4 MiB: no sum can wrap.
            expected += overhead + stored
        }
        guard expected + UInt64(MLOG_LZ4_FRAME_END_BYTES) == start else {
            throw failure(file, base, "blocks up to the seek table at \(start)", "blocks up to \(expected)")
        }
        return entries
    }

    /// The parts of the LZ4 frame that are no block: what `lz4 -d` needs of them must be whole.
    private func checkFrame(_ footer: mlog_compacted_footer) throws(LogError) {
        let end = footer.table_offset - UInt64(MLOG_LZ4_FRAME_END_BYTES)
        var checksum = Checksum()
        checksum.add(try file.read(Int(MLOG_LZ4_FRAME_HEADER_BYTES), at: Self.frameStart))
        checksum.add(try file.read(Int(MLOG_LZ4_FRAME_END_BYTES), at: end))
        guard checksum.value == footer.frame_crc else {
            throw Self.failure(
                file,
                base,
                "LZ4 frame CRC \(footer.frame_crc.hexadecimal(digits: 8))",
                checksum.value.hexadecimal(digits: 8)
            )
        }
    }

    // MARK: Blocks

    /// How large a buffer ``read(block:into:through:)`` needs for what stands in the file.
    var scratchSize: Int { CompactedBlock.scratchSize(blockSize) }

    /// Reads and decompresses a block.
    ///
    /// - Parameters:
    ///   - block: Its number.
    ///   - target: Exactly as long as what the block holds.
    ///   - scratch: At least ``scratchSize`` bytes.
    /// - Throws: `damaged` where the bytes are not what was written; `io`.
    func read(
        block: Int,
        into target: UnsafeMutableRawBufferPointer,
        through scratch: UnsafeMutableRawBufferPointer
    ) throws(LogError) {
        let block = CompactedBlock(number: block, entry: table[block], position: base + range(of: block).lowerBound)
        try unsafe block.read(from: file, into: target, through: scratch)
    }

    /// Whether the seek table says of each block what these entries do.
    func hasTable(_ entries: [mlog_compacted_entry]) -> Bool {
        table.elementsEqual(entries) { $0.offset == $1.offset && $0.size == $1.size && $0.crc == $1.crc }
    }

    /// Decompresses the segment, block by block.
    ///
    /// - Parameter visit: Called with the offset in the segment and the bytes of each.
    /// - Throws: `damaged` where a block is not what was written; `io`; what `visit` throws.
    func forEachBlock(_ visit: (UInt64, UnsafeRawBufferPointer) throws(LogError) -> Void) throws(LogError) {
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(blockSize), alignment: 4096)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: scratchSize, alignment: 16)
        defer {
            unsafe target.deallocate()
            unsafe scratch.deallocate()
        }
        for block in 0..<blockCount {
            let range = range(of: block)
            let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: target[..<range.count])
            try unsafe read(block: block, into: bytes, through: scratch)
            try unsafe visit(range.lowerBound, UnsafeRawBufferPointer(bytes))
        }
    }

    /// - Throws: `damaged` where the raw form of the segment holds anything else; `io`.
    func compare(with raw: OpenFile) throws(LogError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(blockSize), alignment: 4096)
        defer { unsafe buffer.deallocate() }
        try unsafe forEachBlock { offset, bytes throws(LogError) in
            let other = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<bytes.count])
            let count = try unsafe raw.read(into: other, at: offset)
            let isEqual = unsafe count == bytes.count && memcmp(other.baseAddress!, bytes.baseAddress!, count) == 0
            guard isEqual else {
                throw .damaged(
                    file.path,
                    base + offset,
                    expected: "what \(raw.path) holds",
                    found: "other bytes in the block"
                )
            }
        }
    }
}
