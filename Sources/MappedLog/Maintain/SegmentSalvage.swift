internal import SystemPackage
internal import _CMappedLog

/// Reads a segment whose header is bad, or whose file has the wrong size, by the salt that still stands in it: if
/// frames or an activation line are right with it, it is the salt.
struct SegmentSalvage {
    private let file: OpenFile
    private let base: UInt64
    private let place: LogPlace

    init(_ file: OpenFile, _ base: UInt64, _ place: LogPlace) {
        self.file = file
        self.base = base
        self.place = place
    }

    /// - Parameter fault: What the header's check said.
    /// - Throws: Nothing that the disk says: what it can't read counts as zeros.
    /// - Returns: Nil where nothing of the segment can be read.
    func scanner(_ fault: LogError) throws(LogError) -> SegmentScanner? {
        // A header that is whole and says that this is another segment is believed.
        guard fault.code != .foreignSegment else { return nil }
        var raw = mlog_segment_header()
        unsafe withUnsafeMutableBytes(of: &raw) { _ = unsafe file.readWhatCanBeRead(into: $0, at: 0) }
        var checksum = Checksum()
        checksum.add(raw, first: 124)
        if raw.magic == MLOG_SEGMENT_MAGIC, raw.crc == checksum.value, raw.base_position != base { return nil }
        let header = SegmentHeader(logID: place.id, geometry: place.geometry, base: base, salt: raw.salt)
        let scanner = SegmentScanner(file, header: header, toleratesBadSectors: true)
        if try scanner.activation() != nil { return scanner }
        if case .frame = try scanner.frame(at: SegmentGeometry.dataStart) { return scanner }
        let next = try? scanner.nextFrame(from: SegmentGeometry.dataStart)
        return next == nil ? nil : scanner
    }

    /// Whether anything but zeros stands behind the header page.
    func hasData() throws(LogError) -> Bool {
        let header = SegmentHeader(logID: place.id, geometry: place.geometry, base: base, salt: 0)
        let scanner = SegmentScanner(file, header: header, toleratesBadSectors: true)
        let data = SegmentGeometry.dataStart..<place.geometry.segmentSize
        return try scanner.firstNonZero(in: data) != nil || !scanner.unreadable.isEmpty
    }
}
