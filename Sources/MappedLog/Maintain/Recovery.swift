internal import SystemPackage
internal import _CMappedLog

/// Makes a log whole, before the first append of the first writer (`spec/protocol.md`, "Recover").
///
/// Only under the exclusive writer lock. Interrupted anywhere, it starts over and comes to the same log: what is cut
/// off is kept before it is zeroed, and the word at the cut is zeroed first.
struct Recovery {
    let log: LogPlace
    private(set) var report = RecoveryReport()
    /// The end of the log that it comes to: what the control block starts with.
    private(set) var slot = mlog_append_slot()
    private(set) var endsWithMark = false
    /// How many sequences the lost frames of the segment that holds the end took.
    private(set) var lostCount: UInt64 = 0

    init(_ log: LogPlace) {
        self.log = log
    }

    /// Throws `damaged` and the like, with the log untouched, where what was durable can't be read.
    ///
    /// It mistrusts the cache where a flush failed or was interrupted: then the cache may show what the disk lacks.
    /// `willWrite` is called before the first store.
    mutating func run(mistrustsCache: Bool, willWrite: () -> Void) throws(LogError) {
        let survey = try LogSurvey(of: log)
        try log.checkMayWrite(survey.bases)
        try log.medium.removeUnpublished()
        report.durablePosition = survey.durable

        willWrite()
        try cutTail(survey)
        try setAsideSegments(behind: survey)
        for base in survey.walked { try mend(base, survey) }
        if mistrustsCache { for base in survey.walked { try copyOutOfCache(base, survey) } }
        slot = survey.slot
        endsWithMark = survey.walk.endsWithMark
        lostCount = survey.nextSequence &- survey.baseSequence &- survey.walk.recordCount
        if case .sealed = survey.ending { try makeSuccessor(survey) }
        try flush(survey)
        report.endPosition = slot.tail
        report.nextSequence = slot.sequence
        try moveTailers()
    }

    // MARK: The tail

    private mutating func cutTail(_ survey: LogSurvey) throws(LogError) {
        guard case .open = survey.ending else { return }
        let base = survey.walked[survey.walked.count - 1]
        let scanner = try log.writableScanner(base)
        let cut = survey.end - base
        let data = cut..<log.geometry.dataEnd
        let end = (try scanner.endOfNonZero(in: data) + 7) & ~7
        guard end > cut else { return }
        let torn = cut..<min(end, log.geometry.dataEnd)
        report.cutPosition = survey.end
        report.cutBytes = UInt64(torn.count)
        report.keep(try log.medium.setAside(scanner.file, torn, position: survey.end))
        // The word at the cut goes first: a recovery that starts over must cut here again.
        try scanner.file.zero(torn.lowerBound..<torn.lowerBound + 8)
        try scanner.file.flushData()
        try scanner.file.zero(torn)
    }

    /// Segments behind the cut: those before the first that holds data stay prepared; that one and all behind it go,
    /// last to first, and what holds data is set aside.
    ///
    /// An empty one that stayed behind one that went would leave a hole in the row.
    private mutating func setAsideSegments(behind survey: LogSurvey) throws(LogError) {
        let last = survey.walked[survey.walked.count - 1]
        let data = SegmentGeometry.dataStart..<log.geometry.segmentSize
        var going: [(base: UInt64, isBlank: Bool)] = []
        for base in survey.bases where base > last {
            let scanner = try log.writableScanner(base)
            let isBlank = try scanner.firstNonZero(in: data) == nil
            if !isBlank || !going.isEmpty {
                going.append((base, isBlank))
            } else if try scanner.seal() != nil {
                try scanner.file.zero(SealLine.range)
                report.rewrittenSeals += 1
            }
        }
        for (base, isBlank) in going.reversed() {
            if isBlank {
                try log.medium.remove(.raw(base))
            } else {
                report.keep(try log.medium.setAsideSegment(.raw(base)))
            }
        }
    }

    // MARK: Seals and index

    /// Brings a kept segment's seal and index into line with its frames.
    private mutating func mend(_ base: UInt64, _ survey: LogSurvey) throws(LogError) {
        let scanner = try log.writableScanner(base)
        let sequence = try scanner.activation()?.baseSequence ?? survey.baseSequence
        let (entries, seals) = try scanner.mendIndexAndSeal(sequence: sequence)
        report.rebuiltIndexEntries += entries
        report.rewrittenSeals += seals
    }

    // MARK: Segments

    private mutating func makeSuccessor(_ survey: LogSurvey) throws(LogError) {
        let base = survey.walked[survey.walked.count - 1] + log.geometry.segmentSize
        let header = SegmentHeader(
            logID: log.id,
            geometry: log.geometry,
            base: base,
            salt: .random(in: .min ... .max)
        )
        _ = try log.medium.publishSegment(
            base,
            header: header.encoded(),
            byteCount: log.geometry.segmentSize,
            namesAreDurable: false
        )
        let line = ActivationLine(
            baseSequence: survey.nextSequence,
            largestTimestampBefore: max(survey.largestTimestampBefore, survey.walk.largestTimestamp)
        )
        let scanner = try log.writableScanner(base)
        try scanner.file.write(line.encoded(for: scanner.header), at: UInt64(MLOG_ACTIVATION_OFFSET))
        try scanner.file.flushData()
        slot = mlog_append_slot(
            tail: base + SegmentGeometry.dataStart,
            sequence: survey.nextSequence,
            smallest_timestamp: .max,
            largest_timestamp: .min
        )
        lostCount = 0
        endsWithMark = false
    }

    /// After a failed write-back the cache shows what the disk lacks: everything that isn't known durable goes into a
    /// fresh file, with the same salt, whose flush is its own.
    private mutating func copyOutOfCache(_ base: UInt64, _ survey: LogSurvey) throws(LogError) {
        let source = try log.scanner(base)
        try log.medium.replaceSegment(base, byteCount: log.geometry.segmentSize) { target throws(LogError) in
            var offset: UInt64 = 0
            while let found = try source.firstNonZero(in: offset..<log.geometry.segmentSize) {
                let start = found / 4096 * 4096
                let count = Int(min(1 << 16, log.geometry.segmentSize - start))
                let piece = try unsafe source.bytes(at: start, count: count)
                try unsafe target.write(piece, at: start)
                offset = start + UInt64(count)
            }
        }
        report.copiedSegments += 1
    }

    /// After a crash of the process alone, what was kept may be in the cache only; so may the directory.
    private func flush(_ survey: LogSurvey) throws(LogError) {
        for base in survey.walked { try log.writableScanner(base).file.flushData() }
        try log.medium.flushDirectory()
    }

    private mutating func moveTailers() throws(LogError) {
        for name in try log.medium.namedTailerNames() {
            guard let tailer = try? NamedTailerFile(name, in: log, create: false, writable: true) else { continue }
            guard var place = try? tailer.place, place.position > slot.tail else { continue }
            (place.position, place.sequence) = (slot.tail, slot.sequence)
            try tailer.store(place, durably: true)
            report.movedTailers.append(name)
        }
    }
}

extension LogPlace {
    func mustNotWrite(_ base: UInt64) -> LogError {
        LogError(
            .unsupportedFeature,
            file: medium.segmentPath(base),
            position: Position(rawValue: base),
            expected: "no feature that this version may only read",
            found: "one",
            advice: "open the log read-only, or use a version of MappedLog that knows the feature"
        )
    }
}

extension SealLine {
    static var range: Range<UInt64> {
        UInt64(MLOG_SEAL_OFFSET)..<UInt64(MLOG_SEAL_OFFSET) + UInt64(MemoryLayout<mlog_seal>.size)
    }
}
