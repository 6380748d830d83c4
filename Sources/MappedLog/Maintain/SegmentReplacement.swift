internal import SystemPackage
internal import _CMappedLog

/// Puts whole files in the place of segments that are missing, or have a bad header or size.
struct SegmentReplacement {
    private let verdict: LogVerdict
    private var log: LogPlace { verdict.check.place }

    init(_ verdict: LogVerdict) {
        self.verdict = verdict
    }

    /// - Returns: The ranges that are lost, each with the sequence before it.
    func run(_ report: inout RepairReport) throws(LogError) -> [(range: Range<UInt64>, sequence: UInt64)] {
        var lost: [(range: Range<UInt64>, sequence: UInt64)] = []
        // Of the first record behind the row just replaced.
        var sequence: UInt64?
        // Behind the end of the log, what stands behind a hole goes too.
        var isBehindHole = false
        for index in verdict.check.rows.indices {
            let row = verdict.check.rows[index]
            if isBehindHole, let form = row.form {
                if case .unsupported = row.state { continue }
                report.keep(try log.medium.setAsideSegment(form))
                continue
            }
            guard verdict.badFiles.contains(index) else { continue }
            switch row.state {
            case .unsupported: continue
            case .frames(let segment, _): try rewriteHeader(row, segment, &report)
            case .gone(let error, _):
                if error.code != .missingSegment, let form = row.form {
                    report.keep(try log.medium.setAsideSegment(form))
                }
                guard verdict.neededFiles.contains(index) else {
                    isBehindHole = true
                    continue
                }
                let gone = try makeLost(index, before: sequence, &report)
                sequence = gone.upperBound
                lost.append((report.skippedRanges[report.skippedRanges.count - 1], gone.lowerBound))
            }
        }
        try log.medium.flushDirectory()
        return lost
    }

    /// Keeps the frames, which can be read by the salt that still stands in the file.
    private func rewriteHeader(
        _ row: LogCheck.Row,
        _ segment: SegmentCheck,
        _ report: inout RepairReport
    ) throws(LogError) {
        guard let file = try log.medium.openSegment(row.base, writable: false) else {
            throw log.missing(row.base, durable: nil)
        }
        report.keep(try log.medium.setAside(file, 0..<file.byteCount, position: row.base))
        let source = SegmentScanner(file, header: segment.header, toleratesBadSectors: true)
        let size = log.geometry.segmentSize
        try log.medium.replaceSegment(row.base, byteCount: size) { target throws(LogError) in
            var offset: UInt64 = 0
            while offset < size {
                let count = Int(min(1 << 20, size - offset))
                try unsafe target.write(source.bytes(at: offset, count: count), at: offset)
                offset += UInt64(count)
            }
            try target.write(segment.header.encoded(), at: 0)
        }
    }

    /// A segment of one lost frame; the sequences that are gone.
    private func makeLost(
        _ index: Int,
        before: UInt64?,
        _ report: inout RepairReport
    ) throws(LogError) -> Range<UInt64> {
        let base = verdict.check.rows[index].base
        let geometry = log.geometry
        let known = verdict.sequence(behind: index)
        let row = verdict.check.rows[index]
        let first = row.expected?.baseSequence ?? sequenceBefore(index, replaced: before) ?? known ?? 0
        let next = max(known ?? first, first)
        let header = SegmentHeader(logID: log.id, geometry: geometry, base: base, salt: .random(in: .min ... .max))
        let line = ActivationLine(
            baseSequence: first,
            largestTimestampBefore: row.expected?.largestTimestampBefore ?? verdict.largestTimestamp(before: index)
        )
        let start = SegmentGeometry.dataStart
        let size = SegmentGeometry.frameHeaderSize
        let end = geometry.dataEnd - size
        let seal = SealLine(endOffset: end, recordCount: 0, smallestTimestamp: .max, largestTimestamp: .min)
        let entry = IndexEntry(offset: start, sequence: first, largestTimestampBefore: .min)
        try log.medium.replaceSegment(base, byteCount: geometry.segmentSize) { target throws(LogError) in
            try target.write(header.encoded(), at: 0)
            try target.write(line.encoded(for: header), at: UInt64(MLOG_ACTIVATION_OFFSET))
            try target.write(seal.encoded(for: header), at: UInt64(MLOG_SEAL_OFFSET))
            try target.write(
                header.frameHeader(.lost, at: start, size: end - start, timestamp: Int64(bitPattern: next)),
                at: start
            )
            try target.write(
                header.frameHeader(.end, at: end, size: size, timestamp: LogClock.precise.read()),
                at: end
            )
            try target.write(entry.encoded(for: header), at: geometry.entryOffset(block: 0))
        }
        report.skippedRanges.append(base + start..<base + end)
        report.skippedRecords &+= next - first
        if known == nil { report.unprovedSequences.append(base + start) }
        return first..<next
    }

    /// The last sequence that is known before a row, of what is there or of what was just put there.
    private func sequenceBefore(_ index: Int, replaced: UInt64?) -> UInt64? {
        if index == 0 { return verdict.check.rows[0].base == 0 ? 0 : nil }
        guard let known = verdict.lastKnownSequence(before: index) else { return replaced }
        return max(known, replaced ?? 0)
    }
}
