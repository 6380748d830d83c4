internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Mends damage below known durable, which recovery refuses to touch.
///
/// Only as the only writer. What is overwritten or replaced is kept in `lost+found` first. It goes in steps, each of
/// which leaves fewer kinds of damage, and reads the log anew after each: so one that was interrupted just runs again.
struct Repair {
    let log: LogPlace
    private(set) var report = RepairReport()
    private let hint: mlog_append_slot?

    /// The hint is where the log ended at its last clean close, if it knows.
    init(_ log: LogPlace, hint: mlog_append_slot?) {
        self.log = log
        self.hint = hint
    }

    /// - Parameter willWrite: Called once, before anything is changed.
    /// - Throws: `unsupportedSegment` and the like, with nothing changed, where a newer version wrote to the log.
    mutating func run(willWrite: () throws(LogError) -> Void) throws(LogError) {
        var verdict = try read()
        try refuseUnsupported(verdict)
        let isMendable = verdict.report.findings.contains { $0.kind != .namedTailer }
        guard isMendable || verdict.report.notes.contains(where: { $0.kind == .sealLine }) else { return }
        report.mended += verdict.report.findings
        try willWrite()
        for stray in verdict.check.strays {
            report.keep(try log.medium.setAsideSegment(stray.name))
        }
        try settleForms(&verdict)
        if !verdict.badFiles.isEmpty {
            for (range, sequence) in try SegmentReplacement(verdict).run(&report) {
                try moveTailers(out: range, sequence: sequence)
            }
            verdict = try read()
        }
        if !verdict.badGaps.isEmpty {
            for place in verdict.badGaps.reversed() { try cover(place, verdict) }
            verdict = try read()
        }
        // Each line rests on the one before.
        while let index = verdict.badLines.first {
            try mendLine(index, verdict)
            let before = verdict.badLines.count
            verdict = try read()
            if verdict.badLines.first == index, verdict.badLines.count >= before { break }
        }
        for index in verdict.check.rows.indices { try mendRest(index, verdict) }
        report.skippedRanges.sort { $0.lowerBound < $1.lowerBound }
    }

    /// Writes `options.json` anew, with what the segments tell and the defaults for the rest.
    mutating func mendOptions(_ fault: LogError) throws(LogError) {
        let path = log.medium.settingsPath
        let file = try OpenFile(path, O_RDONLY | O_NOFOLLOW)
        if file.byteCount > 0 { report.keep(try log.medium.setAside(file, 0..<file.byteCount, position: 0)) }
        var options = LogOptions(segmentSize: log.geometry.segmentSize)
        if let known = try? log.medium.readSettings() {
            (options.permissions, options.durability) = (known.permissions, known.durability)
            (options.retention, options.compactAfter) = (known.retention, known.compactAfter)
        } else {
            options.permissions = log.medium.permissions
        }
        let others = LogSettings.others(in: (try? log.medium.settingsBytes()) ?? [])
        try log.medium.publishSettings(LogSettings(id: log.id, options: options, others: others))
        report.mended.append(
            Damage(
                .options,
                file: path.string,
                expected: fault.expected ?? "the log's options",
                found: fault.found ?? fault.description
            )
        )
    }

    private func read() throws(LogError) -> LogVerdict {
        try LogVerdict(LogCheck(log, live: nil, hint: hint) { _, _ in })
    }

    /// Where both forms of a segment are there and the one that counts is damaged, the other one counts from now on.
    private mutating func settleForms(_ verdict: inout LogVerdict) throws(LogError) {
        let pairs = try Dictionary(grouping: log.medium.listSegments()) { $0.base }.filter { $0.value.count > 1 }
        for base in pairs.keys.sorted() {
            _ = try FormPair(base, of: log).settle(keeping: .compacted(base), &report.kept)
        }
        if !pairs.isEmpty { verdict = try read() }
    }

    private func refuseUnsupported(_ verdict: LogVerdict) throws(LogError) {
        for row in verdict.check.rows {
            if case .unsupported(let error) = row.state { throw error }
            if let header = row.check?.header, !header.mayWrite { throw log.mustNotWrite(header.base) }
            for gap in row.check?.gaps ?? [] where gap.kind == .unsupported {
                throw log.unsupported(gap.reason, row.file, row.base + gap.stop)
            }
        }
    }

    private mutating func writable(_ row: LogCheck.Row) throws(LogError) -> SegmentScanner {
        try materialize(row)
        guard let file = try log.medium.openSegment(row.base, writable: true), let header = row.check?.header else {
            throw log.missing(row.base, durable: nil)
        }
        return SegmentScanner(file, header: header, toleratesBadSectors: true)
    }

    /// A compacted segment is mended in its raw form, in which what can't be read is zeros; the compacted one is kept.
    private mutating func materialize(_ row: LogCheck.Row) throws(LogError) {
        guard case .compacted(let file)? = try log.medium.openForReading(row.base) else { return }
        let source = SegmentScanner(
            try CompactedFile(file, base: row.base, of: log.identity),
            toleratesBadSectors: true
        )
        let size = log.geometry.segmentSize
        try log.medium.replaceSegment(row.base, byteCount: size) { target throws(LogError) in
            var offset: UInt64 = 0
            while offset < size {
                let count = Int(min(1 << 20, size - offset))
                try unsafe target.write(source.bytes(at: offset, count: count), at: offset)
                offset += UInt64(count)
            }
            // These stand in the compacted file's own header too, which is whole.
            try target.write(source.header.encoded(), at: 0)
            if let line = try source.activation() {
                try target.write(line.encoded(for: source.header), at: UInt64(MLOG_ACTIVATION_OFFSET))
            }
            if let seal = try source.seal() {
                try target.write(seal.encoded(for: source.header), at: UInt64(MLOG_SEAL_OFFSET))
            }
        }
        try log.medium.flushDirectory()
        report.keep(try log.medium.setAsideSegment(.compacted(row.base)))
    }

    // MARK: Damaged ranges

    private mutating func cover(_ place: LogVerdict.GapPlace, _ verdict: LogVerdict) throws(LogError) {
        let row = verdict.check.rows[place.row]
        guard let segment = row.check else { return }
        let gap = segment.gaps[place.gap]
        let counted = segment.runs[...place.gap].reduce(0) { $0 + $1.records }
        let before = row.expected?.baseSequence ?? verdict.lastKnownSequence(before: place.row)
        let first = segment.runs[place.gap].sequenceBehind ?? (before ?? 0) &+ counted
        let known = verdict.sequences(of: gap, place.gap, in: place.row)?.upperBound
        let next = max(known ?? first, first)
        let scanner = try writable(row)
        let written = (try scanner.endOfNonZero(in: gap.start..<log.geometry.dataEnd) + 7) & ~7
        var end = gap.end ?? gap.start
        var isSealed = false
        if gap.end == nil {
            isSealed = goesOn(behind: place.row, verdict)
            end =
                isSealed
                ? endOfSealed(gap, segment, isNothingLost: known == first) : endOfActive(gap, written: written)
            if !isSealed, end == gap.start { isSealed = true }
        }
        let size = SegmentGeometry.frameHeaderSize
        let touched = gap.start..<(gap.end ?? max(written, isSealed ? end + size : end))
        report.keep(try log.medium.setAside(scanner.file, touched, position: row.base + gap.start))
        // What makes the range whole comes last: until then it is as bad as it was.
        if touched.lowerBound + size < touched.upperBound {
            try scanner.file.zero(touched.lowerBound + size..<touched.upperBound)
        }
        if isSealed {
            try scanner.file.write(
                segment.header.frameHeader(.end, at: end, size: size, timestamp: LogClock.precise.read()),
                at: end
            )
        }
        if end > gap.start {
            try scanner.file.flushData()
            try scanner.file.write(
                segment.header.frameHeader(
                    .lost,
                    at: gap.start,
                    size: end - gap.start,
                    timestamp: Int64(bitPattern: next)
                ),
                at: gap.start
            )
            report.skippedRanges.append(row.base + gap.start..<row.base + end)
        }
        try scanner.file.flushData()
        report.skippedRecords &+= next - first
        if known == nil || gap.isGuess { report.unprovedSequences.append(row.base + gap.start) }
        try moveTailers(out: row.base + gap.start..<row.base + end, sequence: first)
    }

    /// Whether the log went on in the next segment.
    private func goesOn(behind index: Int, _ verdict: LogVerdict) -> Bool {
        guard index + 1 < verdict.check.rows.count else { return false }
        let next = verdict.check.rows[index + 1]
        if verdict.check.durable >= next.base + SegmentGeometry.dataStart { return true }
        guard let segment = next.check else { return false }
        return segment.activation != nil && segment.records > 0
    }

    private func endOfSealed(_ gap: SegmentCheck.Gap, _ segment: SegmentCheck, isNothingLost: Bool) -> UInt64 {
        let size = SegmentGeometry.frameHeaderSize
        func fits(_ end: UInt64) -> Bool { end == gap.start || end >= gap.start + size }
        if let seal = segment.seal, seal.endOffset >= gap.start, fits(seal.endOffset) { return seal.endOffset }
        let last = log.geometry.dataEnd - size
        return isNothingLost || !fits(last) ? gap.start : last
    }

    private func endOfActive(_ gap: SegmentCheck.Gap, written: UInt64) -> UInt64 {
        let size = SegmentGeometry.frameHeaderSize
        let last = log.geometry.dataEnd - size
        return gap.start + size > last ? gap.start : min(max(written, gap.start + size), last)
    }

    /// A tailer that stood inside a range would find no frame there.
    private mutating func moveTailers(out range: Range<UInt64>, sequence: UInt64) throws(LogError) {
        for name in (try? log.medium.namedTailerNames()) ?? [] {
            guard let tailer = try? NamedTailerFile(name, in: log, create: false, writable: true),
                var place = try? tailer.place, place.position > range.lowerBound, place.position < range.upperBound
            else { continue }
            (place.position, place.sequence) = (range.lowerBound, sequence)
            try tailer.store(place, durably: true)
            report.movedTailers.append(name)
        }
    }

    // MARK: Lines and index

    private mutating func mendLine(_ index: Int, _ verdict: LogVerdict) throws(LogError) {
        let row = verdict.check.rows[index]
        guard let segment = row.check else { return }
        let sequence = row.expected?.baseSequence ?? (row.base == 0 ? 0 : segment.runs.first?.sequence)
        if sequence == nil { report.unprovedSequences.append(row.base + SegmentGeometry.dataStart) }
        var largest = row.expected?.largestTimestampBefore ?? verdict.largestTimestamp(before: index)
        // What the next line says of both segments was true of this one, where its own records don't reach it.
        if row.base > 0, row.expected?.mayBeLarger ?? true, !segment.isDoubtful,
            index + 1 < verdict.check.rows.count, let next = verdict.check.rows[index + 1].check?.activation,
            next.largestTimestampBefore > max(largest, segment.largestTimestamp)
        {
            largest = next.largestTimestampBefore
        }
        let scanner = try writable(row)
        let start = UInt64(MLOG_ACTIVATION_OFFSET)
        let range = start..<start + UInt64(MemoryLayout<mlog_activation>.size)
        if try scanner.firstNonZero(in: range) != nil {
            report.keep(try log.medium.setAside(scanner.file, range, position: row.base + range.lowerBound))
        }
        var known = sequence ?? verdict.lastKnownSequence(before: index)
        // No number is used twice, as far as anything still knows of it.
        if known == nil, let hint, hint.tail <= row.base + SegmentGeometry.dataStart {
            known = hint.sequence
            largest = max(largest, hint.largest_timestamp)
        }
        let line = ActivationLine(baseSequence: known ?? 0, largestTimestampBefore: largest)
        try scanner.file.write(line.encoded(for: segment.header), at: range.lowerBound)
        try scanner.file.flushData()
    }

    private mutating func mendRest(_ index: Int, _ verdict: LogVerdict) throws(LogError) {
        let row = verdict.check.rows[index]
        guard let segment = row.check, let sequence = segment.runs.first?.sequence,
            verdict.end.map({ index <= $0.row }) ?? true
        else { return }
        // What is whole keeps its form.
        let isWhole = segment.gaps.isEmpty && segment.indexFaults.isEmpty && segment.behindEnd == nil
        if isWhole, row.form == .compacted(row.base) { return }
        let scanner = try writable(row)
        if let range = segment.behindEnd {
            let position = row.base + range.lowerBound
            report.keep(try log.medium.setAside(scanner.file, range, position: position))
            try scanner.file.zero(range)
        }
        let (entries, seals) = try scanner.mendIndexAndSeal(sequence: sequence)
        if entries + seals > 0 || segment.behindEnd != nil { try scanner.file.flushData() }
    }
}

extension LogVerdict {
    /// The largest timestamp that is known of the log before a row; `Int64.min`: none is.
    func largestTimestamp(before index: Int) -> Int64 {
        check.rows[..<index].reduce(.min) { largest, row in
            max(largest, row.check?.largestTimestamp ?? .min, row.check?.activation?.largestTimestampBefore ?? .min)
        }
    }
}
