internal import CLZ4
internal import SystemPackage
internal import _CMappedLog

/// A block of a compacted segment: where it stands in the file, and what must be there.
struct CompactedBlock {
    let number: Int
    let entry: mlog_compacted_entry
    /// Of its first byte in the log.
    let position: UInt64

    private static let overhead = Int(MLOG_LZ4_BLOCK_OVERHEAD)

    /// How large a buffer is that holds any block as it stands in the file.
    static func scratchSize(_ blockSize: UInt64) -> Int { Int(blockSize) + overhead }

    /// Reads and decompresses it.
    ///
    /// - Parameters:
    ///   - file: Where it stands.
    ///   - target: Exactly as long as what the block holds.
    ///   - scratch: For what stands in the file.
    /// - Throws: `damaged` where the bytes are not what was written; `io`.
    func read(
        from file: OpenFile,
        into target: UnsafeMutableRawBufferPointer,
        through scratch: UnsafeMutableRawBufferPointer
    ) throws(LogError) {
        let size = Int(entry.dataSize)
        let stored = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<(size + Self.overhead)])
        let count = try unsafe file.read(into: stored, at: entry.offset)
        var checksum = Checksum()
        unsafe checksum.add(UnsafeRawBufferPointer(stored))
        guard count == stored.count, checksum.value == entry.crc else {
            throw damage(
                file,
                "CRC \(entry.crc.hexadecimal(digits: 8))",
                checksum.value.hexadecimal(digits: 8)
            )
        }
        guard unsafe stored.loadUnaligned(as: UInt32.self) == entry.size else {
            throw damage(file, "a size field of \(entry.size.hexadecimal(digits: 8))", "another")
        }
        let data = unsafe UnsafeRawBufferPointer(rebasing: stored[4..<(4 + size)])
        if entry.isStored {
            unsafe target.copyMemory(from: data)
            return
        }
        let decompressed = unsafe LZ4_decompress_safe(
            data.baseAddress!.assumingMemoryBound(to: CChar.self),
            target.baseAddress!.assumingMemoryBound(to: CChar.self),
            CInt(size),
            CInt(target.count)
        )
        guard Int(decompressed) == target.count else {
            throw damage(
                file,
                "\(target.count) bytes",
                decompressed < 0 ? "a bad LZ4 block, or more" : "\(decompressed)"
            )
        }
    }

    private func damage(_ file: OpenFile, _ expected: String, _ found: String) -> LogError {
        .damaged(file.path, position, expected: "block \(number) with \(expected)", found: found)
    }
}

extension mlog_compacted_entry {
    var isStored: Bool { size & MLOG_LZ4_STORED != 0 }
    /// Of the block's data in the file, in bytes.
    var dataSize: UInt64 { UInt64(size & ~MLOG_LZ4_STORED) }
}
