internal import SystemPackage
internal import _CMappedLog

/// The immutable part of a segment's header page, checked.
struct SegmentHeader: Sendable {
    let logID: LogID
    let geometry: SegmentGeometry
    let base: UInt64
    let creationTime: Int64
    let salt: UInt64
    /// False where a feature is set that this version may read but not write.
    let mayWrite: Bool
    let formatMinor: UInt16

    static let byteCount = MemoryLayout<mlog_segment_header>.size

    init(logID: LogID, geometry: SegmentGeometry, base: UInt64, salt: UInt64) {
        self.logID = logID
        self.geometry = geometry
        self.base = base
        creationTime = LogClock.precise.read()
        self.salt = salt
        mayWrite = true
        formatMinor = UInt16(MLOG_FORMAT_MINOR)
    }

    /// Reads and checks the header of a segment file.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - base: The base position, as its name says.
    ///   - log: What the header must agree with; nil accepts any log and segment size.
    /// - Throws: What `spec/format.md`, 4.1, says.
    init(reading file: OpenFile, base: UInt64, of log: (id: LogID, geometry: SegmentGeometry)?) throws(LogError) {
        var raw = mlog_segment_header()
        let count = try unsafe withUnsafeMutableBytes(of: &raw) { buffer throws(LogError) in
            try unsafe file.read(into: buffer, at: 0)
        }
        guard count == Self.byteCount else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                position: Position(rawValue: base),
                expected: "\(Self.byteCount) bytes of header",
                found: "\(count)",
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        try self.init(checking: raw, file: file, byteCount: file.byteCount, base: base, of: log)
    }

    /// The checks of `spec/format.md`, 4.1, in its order: the first that fails names the error.
    ///
    /// - Parameters:
    ///   - raw: What stands in the file.
    ///   - file: For errors.
    ///   - byteCount: How long the segment is; nil accepts any length.
    ///   - base: What the name says.
    ///   - log: What the header must agree with; nil accepts any log and segment size.
    /// - Throws: What the first check says that fails.
    init(
        checking raw: mlog_segment_header,
        file: OpenFile,
        byteCount: UInt64?,
        base: UInt64,
        of log: (id: LogID, geometry: SegmentGeometry)?
    ) throws(LogError) {
        func failure(_ code: LogError.Code, _ expected: String, _ found: String, _ advice: String) -> LogError {
            LogError(
                code,
                file: file.path,
                position: Position(rawValue: base),
                expected: expected,
                found: found,
                advice: advice
            )
        }
        let restore = "restore the file from a copy, or run `mlog repair`"
        guard raw.magic == MLOG_SEGMENT_MAGIC else {
            throw failure(
                .badMagic,
                MLOG_SEGMENT_MAGIC.byteSwapped.hexadecimal(digits: 16),
                raw.magic.byteSwapped.hexadecimal(digits: 16),
                restore
            )
        }
        var checksum = Checksum()
        checksum.add(raw, first: 124)
        guard raw.crc == checksum.value else {
            throw failure(
                .damaged,
                "header CRC \(checksum.value.hexadecimal(digits: 8))",
                raw.crc.hexadecimal(digits: 8),
                restore
            )
        }
        guard raw.format_major <= UInt16(MLOG_FORMAT_MAJOR) else {
            throw failure(
                .unsupportedVersion,
                "format \(MLOG_FORMAT_MAJOR).x",
                "\(raw.format_major).\(raw.format_minor)",
                "use a version of MappedLog that knows this format"
            )
        }
        guard raw.incompatible == 0 else {
            throw failure(
                .unsupportedFeature,
                "no incompatible features",
                "0x\(raw.incompatible.hexadecimal(digits: 8))",
                "use a version of MappedLog that knows this feature"
            )
        }
        guard raw.header_bytes == UInt32(MLOG_HEADER_PAGE_BYTES),
            raw.frame_header_bytes == UInt32(MLOG_FRAME_HEADER_BYTES), raw.checksum == UInt32(MLOG_CHECKSUM_CRC32C)
        else {
            throw failure(
                .unsupportedFeature,
                "header of 4096, frame header of 24, checksum 1",
                "\(raw.header_bytes), \(raw.frame_header_bytes), \(raw.checksum)",
                "use a version of MappedLog that knows this form"
            )
        }
        logID = LogID(bytes: unsafe withUnsafeBytes(of: raw.log_id) { unsafe Array($0) })
        if let log, logID != log.id {
            throw failure(.foreignSegment, "log \(log.id)", "log \(logID)", "move the file out of this log")
        }
        let isValidSize = SegmentGeometry.isValidSize(raw.segment_bytes)
        guard isValidSize, log == nil || log?.geometry.segmentSize == raw.segment_bytes else {
            throw failure(
                .damaged,
                log.map { "segments of \($0.geometry.segmentSize) bytes" } ?? "a segment size of 64 KiB to 4 GiB",
                "\(raw.segment_bytes)",
                restore
            )
        }
        geometry = SegmentGeometry(segmentSize: raw.segment_bytes)
        guard raw.base_position == base, geometry.isBase(base) else {
            throw failure(
                .damaged,
                "base position \(base), as the file's name says",
                "\(raw.base_position)",
                "give the file the name of its position, or run `mlog repair`"
            )
        }
        guard raw.format_major >= 1 else { throw failure(.damaged, "format 1.x", "0.\(raw.format_minor)", restore) }
        if let byteCount, byteCount != geometry.segmentSize {
            throw failure(
                byteCount < geometry.segmentSize ? .truncatedSegment : .damaged,
                "\(geometry.segmentSize) bytes",
                "\(byteCount) bytes",
                restore
            )
        }
        self.base = base
        creationTime = raw.creation_time
        salt = raw.salt
        mayWrite = raw.read_only_compatible == 0
        formatMinor = raw.format_minor
    }

    /// The header as it stands in the file.
    func encoded() -> [UInt8] {
        var raw = mlog_segment_header()
        raw.magic = MLOG_SEGMENT_MAGIC
        raw.format_major = UInt16(MLOG_FORMAT_MAJOR)
        raw.format_minor = UInt16(MLOG_FORMAT_MINOR)
        raw.header_bytes = UInt32(MLOG_HEADER_PAGE_BYTES)
        raw.frame_header_bytes = UInt32(MLOG_FRAME_HEADER_BYTES)
        raw.checksum = UInt32(MLOG_CHECKSUM_CRC32C)
        unsafe withUnsafeMutableBytes(of: &raw.log_id) { unsafe $0.copyBytes(from: logID.bytes) }
        raw.segment_bytes = geometry.segmentSize
        raw.base_position = base
        raw.creation_time = creationTime
        raw.salt = salt
        var checksum = Checksum()
        checksum.add(raw, first: 124)
        raw.crc = checksum.value
        return unsafe withUnsafeBytes(of: raw) { unsafe Array($0) }
    }

    /// The checksum register behind the salt: where the checksum of each frame and line of the segment starts.
    var seed: Checksum {
        var checksum = Checksum()
        checksum.add(salt)
        return checksum
    }
}
