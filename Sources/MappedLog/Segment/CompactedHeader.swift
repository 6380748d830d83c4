internal import SystemPackage
internal import _CMappedLog

/// The first bytes of a compacted segment, checked: what the segment is, without decompressing any of it
/// (`spec/format.md`, 17.1).
struct CompactedHeader: Sendable {
    let segment: SegmentHeader
    let blockSize: UInt64
    let activation: ActivationLine?
    let seal: SealLine?

    static let byteCount = UInt64(MLOG_COMPACTED_HEADER_BYTES)
    /// What an LZ4 frame allows.
    static let blockSizes: [UInt64] = [64 << 10, 256 << 10, 1 << 20, 4 << 20]

    /// Reads and checks the header of a compacted segment's file.
    ///
    /// - Parameters:
    ///   - file: The segment's file.
    ///   - base: What its name says.
    ///   - log: What the segment must agree with; nil accepts any log and segment size.
    /// - Throws: What the first check of 17.1 says that fails; `io`.
    init(reading file: OpenFile, base: UInt64, of log: (id: LogID, geometry: SegmentGeometry)?) throws(LogError) {
        func failure(_ code: LogError.Code, _ expected: String, _ found: String, newer: Bool = false) -> LogError {
            LogError(
                code,
                file: file.path,
                position: Position(rawValue: base),
                expected: expected,
                found: found,
                advice: newer
                    ? "use a version of MappedLog that knows this form"
                    : "restore the file from a copy, or run `mlog repair`"
            )
        }
        guard file.byteCount >= Self.byteCount else {
            throw failure(.truncatedSegment, "\(Self.byteCount) bytes of header", "\(file.byteCount)")
        }
        var raw = mlog_compacted_header()
        try file.read(&raw, at: 0)
        guard raw.skippable_magic == MLOG_COMPACTED_HEADER_MAGIC, raw.tag == MLOG_COMPACTED_TAG else {
            throw failure(
                .badMagic,
                "\(MLOG_COMPACTED_HEADER_MAGIC.hexadecimal(digits: 8))",
                "\(raw.skippable_magic.hexadecimal(digits: 8))"
            )
        }
        var checksum = Checksum()
        checksum.add(raw, first: 252)
        guard raw.crc == checksum.value else {
            throw failure(
                .damaged,
                "header CRC \(checksum.value.hexadecimal(digits: 8))",
                raw.crc.hexadecimal(digits: 8)
            )
        }
        guard raw.form <= UInt32(MLOG_COMPACTED_FORM) else {
            throw failure(.unsupportedVersion, "form \(MLOG_COMPACTED_FORM)", "form \(raw.form)", newer: true)
        }
        guard raw.incompatible == 0 else {
            throw failure(
                .unsupportedFeature,
                "no incompatible features",
                "0x\(raw.incompatible.hexadecimal(digits: 8))",
                newer: true
            )
        }
        guard raw.form >= 1, raw.skippable_bytes == UInt32(Self.byteCount) - 8,
            Self.blockSizes.contains(UInt64(raw.block_bytes))
        else {
            throw failure(
                .damaged,
                "form 1, \(Self.byteCount - 8) bytes, blocks of 64 KiB, 256 KiB, 1 MiB or 4 MiB",
                "\(raw.form), \(raw.skippable_bytes), \(raw.block_bytes)"
            )
        }
        segment = try SegmentHeader(checking: raw.segment, file: file, byteCount: nil, base: base, of: log)
        blockSize = UInt64(raw.block_bytes)
        activation = ActivationLine(raw.activation, header: segment)
        seal = SealLine(raw.seal, header: segment)
    }

    /// The header of a segment, as it stands in the file.
    ///
    /// - Parameters:
    ///   - page: The first bytes of the segment, with both lines.
    ///   - blockSize: How much of the segment is compressed by itself.
    ///   - level: How hard.
    /// - Returns: 256 bytes.
    static func encoded(page: UnsafeRawBufferPointer, blockSize: UInt64, level: Int) -> [UInt8] {
        var raw = mlog_compacted_header()
        raw.skippable_magic = MLOG_COMPACTED_HEADER_MAGIC
        raw.skippable_bytes = UInt32(byteCount) - 8
        raw.tag = MLOG_COMPACTED_TAG
        raw.form = UInt32(MLOG_COMPACTED_FORM)
        raw.block_bytes = UInt32(blockSize)
        raw.level = UInt32(level)
        unsafe raw.segment = page.loadUnaligned(as: mlog_segment_header.self)
        unsafe raw.activation = page.loadUnaligned(
            fromByteOffset: Int(MLOG_ACTIVATION_OFFSET),
            as: mlog_activation.self
        )
        unsafe raw.seal = page.loadUnaligned(fromByteOffset: Int(MLOG_SEAL_OFFSET), as: mlog_seal.self)
        var checksum = Checksum()
        checksum.add(raw, first: 252)
        raw.crc = checksum.value
        return unsafe withUnsafeBytes(of: raw) { unsafe Array($0) }
    }
}
