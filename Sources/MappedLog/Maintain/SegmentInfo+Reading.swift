internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension LogInfo.SegmentInfo {
    /// Reads a segment's ends.
    ///
    /// - Parameters:
    ///   - base: Of the segment.
    ///   - log: Where it is.
    ///   - end: The log's end; nil: damage hides it.
    init(_ base: UInt64, in log: LogPlace, end: LogReader.End?) {
        self.base = base
        bytes = log.geometry.segmentSize
        let file = try? log.openForReading(base)
        storedBytes = file?.file.storedByteCount ?? 0
        let found = file.flatMap { try? SegmentContents($0, base: base, in: log, end: end) }
        state = found?.state ?? "damaged"
        records = found?.records ?? 0
        firstTimestamp = found?.firstTimestamp
        lastTimestamp = found?.lastTimestamp
    }
}

/// What a segment holds, by its lines, its index and its last block.
private struct SegmentContents {
    var state: String
    var records: UInt64 = 0
    var firstTimestamp: Int64?
    var lastTimestamp: Int64?

    init(_ file: SegmentFile, base: UInt64, in log: LogPlace, end: LogReader.End?) throws(LogError) {
        let scanner = try file.scanner(base: base, of: log.identity)
        // Its activation line doesn't count yet.
        if let end, end.position < base + SegmentGeometry.dataStart {
            state = "prepared"
            return
        }
        guard let line = try scanner.activation() else { throw log.badActivation(base) }
        if let seal = try scanner.seal(), case .frame(let frame) = try scanner.frame(at: seal.endOffset),
            frame.kind == .end
        {
            state = scanner.isCompacted ? "compacted" : "sealed"
            records = seal.recordCount
            if records > 0 {
                let last = try Self.lastBlock(scanner, before: seal.endOffset)
                lastTimestamp = try scanner.walk(from: last.offset, sequence: last.sequence).lastTimestamp
                if lastTimestamp == nil {
                    let whole = try scanner.walk(from: SegmentGeometry.dataStart, sequence: line.baseSequence)
                    lastTimestamp = whole.lastTimestamp
                }
            }
        } else {
            let limit = end.map { min($0.position - base, log.geometry.dataEnd) } ?? log.geometry.dataEnd
            var last = try Self.lastBlock(scanner, before: limit)
            var walk = try scanner.walk(from: last.offset, sequence: last.sequence)
            if walk.recordCount == 0, last.offset > SegmentGeometry.dataStart {
                last = (SegmentGeometry.dataStart, line.baseSequence)
                walk = try scanner.walk(from: last.offset, sequence: last.sequence)
            }
            if case .end = walk.stop { state = "sealed" } else { state = "active" }
            records = walk.sequence &- line.baseSequence
            lastTimestamp = walk.lastTimestamp
        }
        if records > 0 { firstTimestamp = try Self.firstTimestamp(scanner) }
    }

    /// The place of the last index entry before an offset from which a walk may start.
    private static func lastBlock(
        _ scanner: SegmentScanner,
        before offset: UInt64
    ) throws(LogError) -> (offset: UInt64, sequence: UInt64) {
        let inside = FrameWord.Batch.inner | FrameWord.Batch.last
        var block = min((max(offset, 1) - 1) / SegmentGeometry.blockSize + 1, scanner.geometry.blockCount)
        while block > 0 {
            block -= 1
            guard let entry = try scanner.indexEntry(block: block).entry, entry.offset < offset,
                case .frame(let frame) = try scanner.frame(at: entry.offset),
                frame.kind != .record || frame.word.flags & inside == 0
            else { continue }
            return (entry.offset, entry.sequence)
        }
        return (SegmentGeometry.dataStart, try scanner.activation()?.baseSequence ?? 0)
    }

    private static func firstTimestamp(_ scanner: SegmentScanner) throws(LogError) -> Int64? {
        var offset = SegmentGeometry.dataStart
        while case .frame(let frame) = try scanner.frame(at: offset) {
            if frame.kind == .record { return frame.timestamp }
            offset = frame.end
        }
        return nil
    }
}
