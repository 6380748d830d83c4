internal import CLZ4
internal import SystemPackage
internal import _CMappedLog

/// Writes the compacted form of a segment: our header, one LZ4 frame, our seek table (`spec/format.md`, 17).
///
/// Memory: a block, what ``CompressedBlockWriter`` needs, and 16 bytes for each block of the segment.
@safe final class SegmentCompression {
    private let source: OpenFile
    private let header: SegmentHeader
    private let blockSize: UInt64
    private let level: Int
    private let input: UnsafeMutableRawBufferPointer
    /// For what is no block.
    private let output: UnsafeMutableRawBufferPointer
    /// How many bytes a block may have once it is compressed.
    private let slotSize: Int
    private let context: OpaquePointer
    private var preferences: LZ4F_preferences_t

    /// - Parameters:
    ///   - source: The raw segment.
    ///   - header: Its header.
    ///   - blockSize: How much of it is compressed by itself.
    ///   - level: How hard, 1 to 12.
    /// - Throws: `io` where there is no memory.
    init(_ source: OpenFile, header: SegmentHeader, blockSize: UInt64, level: Int) throws(LogError) {
        self.source = source
        self.header = header
        self.blockSize = blockSize
        self.level = level
        preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = Self.blockSizeID(blockSize)
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
        preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled
        preferences.frameInfo.contentSize = header.geometry.segmentSize
        preferences.compressionLevel = CInt(level)
        preferences.autoFlush = 1
        var context: OpaquePointer?
        let status = unsafe LZ4F_createCompressionContext(&context, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(status) == 0, let context = unsafe context else {
            throw .system(.noMemory, "LZ4F_createCompressionContext", file: source.path)
        }
        unsafe self.context = context
        unsafe input = .allocate(byteCount: Int(blockSize), alignment: 4096)
        slotSize = unsafe LZ4F_compressBound(Int(blockSize), &preferences)
        unsafe output = .allocate(byteCount: max(64, Int(LZ4F_HEADER_SIZE_MAX)), alignment: 16)
    }

    deinit {
        unsafe LZ4F_freeCompressionContext(context)
        unsafe input.deallocate()
        unsafe output.deallocate()
    }

    private static func blockSizeID(_ blockSize: UInt64) -> LZ4F_blockSizeID_t {
        switch blockSize {
        case 64 << 10: LZ4F_max64KB
        case 256 << 10: LZ4F_max256KB
        case 1 << 20: LZ4F_max1MB
        default: LZ4F_max4MB
        }
    }

    /// - Parameters:
    ///   - target: An empty file.
    ///   - inspect: What else is to be found out about the raw segment meanwhile, by another thread; what it throws ends
    ///     the work.
    ///   - progress: Told how many bytes of the segment were compressed; what it throws ends the work.
    /// - Throws: `diskFull`, `io`; `truncatedSegment` where the segment became shorter; `damaged` where what was written
    ///   isn't there.
    /// - Returns: The entries of its blocks, each of which was read back and compared with the raw segment.
    func write(
        to target: OpenFile,
        inspecting inspect: @escaping CompressedBlockWriter.Inspect,
        progress: (UInt64) throws(LogError) -> Void
    ) throws(LogError) -> [mlog_compacted_entry] {
        let writer = CompressedBlockWriter(
            source,
            target,
            header: header,
            blockSize: blockSize,
            slotSize: slotSize,
            inspect: inspect
        )
        do throws(LogError) {
            try write(to: target, blocksBy: writer, progress)
            return try writer.finish()
        } catch {
            writer.end(error)
            throw error
        }
    }

    private func write(
        to target: OpenFile,
        blocksBy writer: CompressedBlockWriter,
        _ progress: (UInt64) throws(LogError) -> Void
    ) throws(LogError) {
        let size = header.geometry.segmentSize
        var at = UInt64(MLOG_COMPACTED_HEADER_BYTES)
        var frame = Checksum()
        var table: [mlog_compacted_entry] = []
        at += try unsafe write(to: target, at: at, &frame, expected: MLOG_LZ4_FRAME_HEADER_BYTES, "LZ4F_compressBegin")
        {
            unsafe LZ4F_compressBegin(context, $0.baseAddress!, $0.count, &preferences)
        }
        var offset: UInt64 = 0
        while offset < size {
            let wanted = unsafe UnsafeMutableRawBufferPointer(
                rebasing: input[..<Int(min(blockSize, size - offset))]
            )
            let count = try unsafe source.read(into: wanted, at: offset)
            guard count == wanted.count else {
                throw LogError(
                    .truncatedSegment,
                    file: source.path,
                    position: Position(rawValue: header.base),
                    expected: "\(size) bytes",
                    found: "\(offset + UInt64(count)) bytes",
                    advice: "restore the file from a copy, or run `mlog repair`"
                )
            }
            if offset == 0 {
                let own = unsafe CompactedHeader.encoded(
                    page: UnsafeRawBufferPointer(wanted),
                    blockSize: blockSize,
                    level: level
                )
                try target.write(own, at: 0)
            }
            let entry = try unsafe compress(UnsafeRawBufferPointer(wanted), into: writer.slot(), at: at)
            writer.add(entry)
            table.append(entry)
            at += entry.dataSize + UInt64(MLOG_LZ4_BLOCK_OVERHEAD)
            offset += UInt64(count)
            try progress(offset)
        }
        at += try unsafe write(to: target, at: at, &frame, expected: MLOG_LZ4_FRAME_END_BYTES, "LZ4F_compressEnd") {
            unsafe LZ4F_compressEnd(context, $0.baseAddress!, $0.count, nil)
        }
        try target.write(encodedTable(table, at: at, frameCRC: frame.value), at: at)
    }

    /// What of the LZ4 frame is no block: its header, or its end.
    private func write(
        to target: OpenFile,
        at offset: UInt64,
        _ frame: inout Checksum,
        expected: Int,
        _ call: String,
        _ make: (UnsafeMutableRawBufferPointer) -> Int
    ) throws(LogError) -> UInt64 {
        let count = try checked(unsafe make(output), call)
        guard count == expected else { throw wrong("\(expected) bytes of \(call)", "\(count)") }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: output[..<count])
        unsafe frame.add(bytes)
        try unsafe target.write(bytes, at: offset)
        return UInt64(count)
    }

    /// One block of the frame, as it is to stand in the file, and its entry.
    private func compress(
        _ bytes: UnsafeRawBufferPointer,
        into slot: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(LogError) -> mlog_compacted_entry {
        let count = try checked(
            unsafe LZ4F_compressUpdate(
                context,
                slot.baseAddress!,
                slot.count,
                bytes.baseAddress!,
                bytes.count,
                nil
            ),
            "LZ4F_compressUpdate"
        )
        let block = unsafe UnsafeRawBufferPointer(rebasing: slot[..<count])
        var entry = mlog_compacted_entry()
        entry.offset = offset
        if count >= 4 { unsafe entry.size = block.loadUnaligned(as: UInt32.self) }
        guard count == Int(entry.dataSize) + Int(MLOG_LZ4_BLOCK_OVERHEAD) else {
            throw wrong("one block", "\(count) bytes")
        }
        var checksum = Checksum()
        unsafe checksum.add(block)
        entry.crc = checksum.value
        return entry
    }

    private func encodedTable(_ table: [mlog_compacted_entry], at offset: UInt64, frameCRC: UInt32) -> [UInt8] {
        let entrySize = Int(MLOG_COMPACTED_ENTRY_BYTES)
        let size = table.count * entrySize + Int(MLOG_COMPACTED_FOOTER_BYTES)
        var bytes: [UInt8] = []
        func add<Layout: BitwiseCopyable>(_ value: Layout) {
            unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
        }
        add(MLOG_COMPACTED_TABLE_MAGIC)
        add(UInt32(size))
        for entry in table { add(entry) }
        var footer = mlog_compacted_footer()
        footer.table_offset = offset
        footer.segment_bytes = header.geometry.segmentSize
        footer.base_position = header.base
        footer.salt = header.salt
        footer.block_bytes = UInt32(blockSize)
        footer.block_count = UInt32(table.count)
        footer.frame_crc = frameCRC
        footer.tag = MLOG_COMPACTED_FOOTER_TAG
        var checksum = Checksum()
        checksum.add(bytes)
        checksum.add(footer, first: 52)
        footer.crc = checksum.value
        add(footer)
        return bytes
    }

    private func checked(_ status: Int, _ call: String) throws(LogError) -> Int {
        guard LZ4F_isError(status) != 0 else { return status }
        throw wrong(call, unsafe String(cString: LZ4F_getErrorName(status)))
    }

    private func wrong(_ expected: String, _ found: String) -> LogError {
        LogError(
            .io,
            file: source.path,
            expected: "\(expected) from liblz4",
            found: found,
            advice: "check which version of liblz4 is installed"
        )
    }
}
