/// The file of a segment, in the form that counts.
enum SegmentFile: Sendable {
    case raw(OpenFile)
    case compacted(OpenFile)

    var file: OpenFile {
        switch self {
        case .raw(let file), .compacted(let file): file
        }
    }

    /// Opens a segment to be read frame by frame.
    func scanner(
        base: UInt64,
        of log: (id: LogID, geometry: SegmentGeometry),
        toleratesBadSectors: Bool = false
    ) throws(LogError) -> SegmentScanner {
        switch self {
        case .raw(let file):
            let header = try SegmentHeader(reading: file, base: base, of: log)
            return SegmentScanner(file, header: header, toleratesBadSectors: toleratesBadSectors)
        case .compacted(let file):
            return SegmentScanner(
                try CompactedFile(file, base: base, of: log),
                toleratesBadSectors: toleratesBadSectors
            )
        }
    }

    /// Reads and checks the segment's header alone.
    func header(base: UInt64, of log: (id: LogID, geometry: SegmentGeometry)?) throws(LogError) -> SegmentHeader {
        switch self {
        case .raw(let file): try SegmentHeader(reading: file, base: base, of: log)
        case .compacted(let file): try CompactedHeader(reading: file, base: base, of: log).segment
        }
    }
}
