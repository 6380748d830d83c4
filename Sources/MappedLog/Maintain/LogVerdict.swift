internal import SystemPackage
internal import _CMappedLog

/// What of a log's check is damage, what is a torn tail, and where the log ends (`spec/format.md`, 11).
struct LogVerdict {
    /// Numbers of a row and of a gap in it.
    struct GapPlace: Hashable {
        let row: Int
        let gap: Int
    }

    let check: LogCheck
    private(set) var report = VerifyReport()
    /// Rows whose segment has to be made anew, or its file copied with a right header.
    private(set) var badFiles: [Int] = []
    /// Those of them in whose place one is needed.
    private(set) var neededFiles: Set<Int> = []
    /// Rows whose activation line counts and is not right.
    private(set) var badLines: [Int] = []
    private(set) var badGaps: [GapPlace] = []
    /// The row that holds the end, and the end; nil: damage hides it.
    private(set) var end: (row: Int, position: UInt64)?

    private var geometry: SegmentGeometry { check.place.geometry }

    init(_ check: LogCheck) throws(LogError) {
        self.check = check
        report.id = check.place.id.description
        report.isLive = check.live != nil
        report.segments = check.rows.count { if case .gone = $0.state { false } else { true } }
        report.bytes = check.bytes
        report.durablePosition = check.durable
        for stray in check.strays {
            add(.header, check.place.medium.path(of: stray.name), expected: stray.expected, found: stray.found)
        }
        if check.rows.isEmpty {
            add(.missingSegment, check.place.medium.path, expected: "at least one segment", found: "none")
        }
        for index in check.rows.indices { try judge(index) }
        if let live = check.live {
            report.endPosition = live.tail
            report.nextSequence = live.sequence
        } else if end == nil, let last = check.rows.last {
            report.endPosition = last.base + (last.check?.end ?? 0)
            report.nextSequence = last.check?.runs.last?.sequenceBehind
        }
    }

    // MARK: Segments

    private mutating func judge(_ index: Int) throws(LogError) {
        let row = check.rows[index]
        switch row.state {
        case .unsupported(let error):
            add(error, row)
        case .gone(let error, let hasData):
            // One behind the end of the log is prepared anew.
            let isNeeded = end == nil && isNeeded(index, hasData: hasData)
            if !isNeeded, end == nil, index > 0, check.rows[index - 1].check?.endFrame != nil {
                end = (index - 1, row.base + SegmentGeometry.dataStart)
                report.endPosition = row.base + SegmentGeometry.dataStart
                report.nextSequence = row.expected?.baseSequence
            }
            badFiles.append(index)
            if isNeeded { neededFiles.insert(index) }
            add(
                kind(of: error, row),
                row.file,
                position: row.base + SegmentGeometry.dataStart,
                positions: isNeeded ? whole(row) : nil,
                sequences: sequences(ofGone: index),
                expected: error.expected ?? "a segment",
                found: error.errno.map { "\($0)" } ?? error.found ?? error.description
            )
        case .frames(let segment, let fault):
            if let fault {
                badFiles.append(index)
                add(fault, row)
            }
            if end == nil { judgeLine(index, segment) }
            if end == nil { try judgeFrames(index, segment) }
        }
    }

    /// Whether the log held something in a segment of which nothing can be read.
    private func isNeeded(_ index: Int, hasData: Bool) -> Bool {
        let row = check.rows[index]
        if check.durable >= row.base + SegmentGeometry.dataStart { return true }
        let isBefore = check.rows[(index + 1)...].contains { later in
            guard let segment = later.check else { return false }
            return segment.activation != nil || segment.records > 0
        }
        if isBefore { return true }
        let isActive = index == 0 || check.rows[index - 1].check?.endFrame != nil
        return hasData && isActive && row.form != nil && check.place.otherSegment(row.base) == nil
    }

    /// The next sequence at the start of a row, as far as anything before it says; nil: nothing does.
    func lastKnownSequence(before index: Int) -> UInt64? {
        for row in check.rows[..<index].reversed() {
            if let sequence = row.check?.runs.last(where: { $0.sequenceBehind != nil })?.sequenceBehind {
                return sequence
            }
            if let sequence = row.expected?.baseSequence ?? row.check?.activation?.baseSequence { return sequence }
        }
        return nil
    }

    private func whole(_ row: LogCheck.Row) -> Range<UInt64> {
        row.base + SegmentGeometry.dataStart..<row.base + geometry.dataEnd
    }

    /// The first sequence of the segment behind, if its line is right in itself.
    func sequence(behind index: Int) -> UInt64? {
        guard index + 1 < check.rows.count else { return nil }
        let next = check.rows[index + 1]
        return next.check?.activation?.baseSequence ?? next.check?.runs.first?.sequence
    }

    private func sequences(ofGone index: Int) -> Range<UInt64>? {
        guard let next = sequence(behind: index) else { return nil }
        let first = check.rows[index].expected?.baseSequence ?? (check.rows[index].base == 0 ? 0 : nil)
        guard let first, first <= next else { return nil }
        return first..<next
    }

    // MARK: Activation lines

    private mutating func judgeLine(_ index: Int, _ segment: SegmentCheck) {
        let row = check.rows[index]
        let start = row.base + SegmentGeometry.dataStart
        if index == 0 {
            let expected = row.base == 0 ? ActivationLine(baseSequence: 0, largestTimestampBefore: .min) : nil
            guard segment.activation == nil || expected != nil && segment.activation != expected else { return }
        } else if let expected = row.expected {
            if let line = segment.activation, expected.agrees(with: line) { return }
            if check.durable < start {
                end = (index - 1, start)
                report.endPosition = start
                report.nextSequence = expected.baseSequence
                return
            }
        } else if segment.activation != nil {
            return
        } else if check.durable < start {
            end = (index - 1, start)
            report.endPosition = start
            return
        }
        badLines.append(index)
        add(
            .activationLine,
            row.file,
            position: start,
            expected: row.expected?.description ?? "an activation line with a right CRC",
            found: segment.activation.map { "sequence \($0.baseSequence), timestamp \($0.largestTimestampBefore)" }
                ?? "none with a right CRC"
        )
    }

    // MARK: Frames

    private mutating func judgeFrames(_ index: Int, _ segment: SegmentCheck) throws(LogError) {
        let row = check.rows[index]
        for (number, gap) in segment.gaps.enumerated() {
            report.records += segment.runs[number].records
            let isDamage = check.durable > row.base + gap.start || gap.kind == .unreadable
            if gap.kind == .unsupported {
                let position = row.base + gap.stop
                add(.unsupported, row.file, position: position, expected: "a frame of format 1.0", found: gap.reason)
            } else if isDamage {
                badGaps.append(GapPlace(row: index, gap: number))
                add(
                    Self.kind(gap),
                    row.file,
                    position: row.base + gap.stop,
                    positions: row.base + gap.start..<row.base + extent(of: gap, in: index),
                    sequences: sequences(of: gap, number, in: index),
                    expected: "a frame, known durable up to \(check.durable)",
                    found: gap.reason
                )
            } else {
                end = (index, row.base + gap.start)
                report.endPosition = row.base + gap.start
                report.nextSequence = segment.runs[number].sequenceBehind
                try noteTornTail(index, from: gap.start)
                judgeIndex(row, segment)
                noteLost(row, segment)
                return
            }
        }
        if segment.runs.count > segment.gaps.count { report.records += segment.runs[segment.gaps.count].records }
        judgeIndex(row, segment)
        noteLost(row, segment)
        judgeRest(row, segment)
    }

    private static func kind(_ gap: SegmentCheck.Gap) -> Damage.Kind {
        switch gap.kind {
        case .unreadable: .unreadable
        case .nothing: .missingFrame
        case .bad, .unsupported: .frame
        }
    }

    /// Where a gap ends: at the next whole frame, or at the end of what can be affected.
    func extent(of gap: SegmentCheck.Gap, in index: Int) -> UInt64 {
        if let end = gap.end { return end }
        let segment = check.rows[index].check
        if let seal = segment?.seal, seal.endOffset >= gap.start { return seal.endOffset }
        return geometry.dataEnd - SegmentGeometry.frameHeaderSize
    }

    /// The records that a gap cost, if it is known.
    func sequences(of gap: SegmentCheck.Gap, _ number: Int, in index: Int) -> Range<UInt64>? {
        guard let segment = check.rows[index].check, let first = segment.runs[number].sequenceBehind else { return nil }
        let next = gap.end == nil ? sequence(behind: index) : segment.runs[number + 1].sequence
        guard let next, next >= first else { return nil }
        return first..<next
    }

    private mutating func judgeIndex(_ row: LogCheck.Row, _ segment: SegmentCheck) {
        for fault in segment.indexFaults where row.base + fault.offset <= check.durable {
            add(
                .indexEntry,
                row.file,
                position: row.base + geometry.entryOffset(block: fault.block),
                expected: fault.expected,
                found: fault.found
            )
        }
        for range in segment.unreadable {
            let isToldBefore = segment.gaps.contains { gap in
                gap.kind == .unreadable && range.lowerBound < gap.end ?? .max && range.upperBound > gap.start
            }
            if isToldBefore { continue }
            add(
                .unreadable,
                row.file,
                position: row.base + range.lowerBound,
                positions: row.base + range.lowerBound..<row.base + range.upperBound,
                expected: "bytes",
                found: "an error of the disk"
            )
        }
    }

    private mutating func noteLost(_ row: LogCheck.Row, _ segment: SegmentCheck) {
        let limit = end.map { $0.position } ?? .max
        for lost in segment.lost where row.base + lost.offset < limit {
            report.notes.append(
                VerifyNote(
                    .lost,
                    file: row.file.string,
                    position: row.base + lost.offset,
                    bytes: lost.byteCount,
                    sequences: lost.sequence.flatMap { $0 <= lost.next ? $0..<lost.next : nil }
                )
            )
        }
    }

    private mutating func judgeRest(_ row: LogCheck.Row, _ segment: SegmentCheck) {
        guard let endFrame = segment.endFrame,
            check.durable >= row.base + geometry.segmentSize + SegmentGeometry.dataStart
        else { return }
        if let range = segment.behindEnd {
            add(
                .behindEnd,
                row.file,
                position: row.base + range.lowerBound,
                positions: row.base + range.lowerBound..<row.base + range.upperBound,
                expected: "zeros",
                found: "something else"
            )
        }
        let seal = SealLine(
            endOffset: endFrame.offset,
            recordCount: segment.records,
            smallestTimestamp: segment.smallestTimestamp,
            largestTimestamp: segment.largestTimestamp
        )
        if segment.gaps.isEmpty ? segment.seal != seal : segment.seal == nil {
            report.notes.append(
                VerifyNote(.sealLine, file: row.file.string, position: row.base + UInt64(MLOG_SEAL_OFFSET))
            )
        }
    }

    // MARK: The tail

    private mutating func noteTornTail(_ index: Int, from offset: UInt64) throws(LogError) {
        var bytes: UInt64 = 0
        for number in index..<check.rows.count {
            guard let segment = check.rows[number].check,
                let file = try check.place.medium.openSegment(segment.base, writable: false)
            else { continue }
            let scanner = SegmentScanner(file, header: segment.header, toleratesBadSectors: true)
            let start = number == index ? offset : SegmentGeometry.dataStart
            bytes += try scanner.endOfNonZero(in: start..<geometry.dataEnd) - start
        }
        guard bytes > 0 else { return }
        let row = check.rows[index]
        report.notes.append(
            VerifyNote(.tornTail, file: row.file.string, position: row.base + offset, bytes: bytes)
        )
    }

    // MARK: Named tailers

    /// Looks at the named tailers, against the end of the log.
    mutating func judgeTailers() throws(LogError) {
        let names: [String]
        do throws(LogError) { names = try check.place.medium.namedTailerNames() } catch {
            // A copy of a log may lack the folder.
            if !error.isAbsence { note(error, check.place.medium.path) }
            return
        }
        for name in names {
            do throws(LogError) {
                let tailer = try NamedTailerFile(name, in: check.place, create: false, writable: false)
                guard let place = try tailer.place, place.position > report.endPosition else { continue }
                // Beside writers it may have gone on since.
                if report.isLive { continue }
                report.notes.append(
                    VerifyNote(.tailerBehindEnd, file: tailer.file.path.string, position: place.position)
                )
            } catch  where error.code == .permissionDenied {
                note(error, error.file ?? check.place.medium.path)
            } catch  where error.code == .notFound {
                continue
            } catch  where error.saysNothingOfTheDisk {
                throw error
            } catch {
                let kind: Damage.Kind = error.code == .unsupportedFeature ? .unsupported : .namedTailer
                add(
                    kind,
                    error.file ?? check.place.medium.path,
                    expected: error.expected ?? "a named tailer",
                    found: error.errno.map { "\($0)" } ?? error.found ?? error.description
                )
            }
        }
    }

    /// Looks at what `live/` is made of; what stands in its files goes with the machine's memory.
    mutating func judgeLive() {
        guard let medium = check.place.medium as? any DirectoryMedium else { return }
        for error in medium.strangersInLive() {
            add(.liveFile, error.file ?? medium.path, expected: "a regular file", found: error.found ?? "none")
        }
    }

    private mutating func note(_ error: LogError, _ file: FilePath) {
        report.notes.append(VerifyNote(.notPermitted, file: (error.file ?? file).string))
    }

    /// Of a compacted segment whose header is right it is the seek table that isn't.
    private func kind(of error: LogError, _ row: LogCheck.Row) -> Damage.Kind {
        let kind = Damage.Kind(error.code)
        guard kind == .header, case .compacted? = row.form,
            let file = try? check.place.medium.openCompacted(row.base),
            (try? CompactedHeader(reading: file, base: row.base, of: check.place.identity)) != nil
        else { return kind }
        return .seekTable
    }

    // MARK: Findings

    private mutating func add(_ error: LogError, _ row: LogCheck.Row) {
        add(
            Damage.Kind(error.code),
            row.file,
            position: row.base + SegmentGeometry.dataStart,
            expected: error.expected ?? "a segment",
            found: error.errno.map { "\($0)" } ?? error.found ?? error.description
        )
    }

    mutating func add(
        _ kind: Damage.Kind,
        _ file: FilePath,
        position: UInt64? = nil,
        positions: Range<UInt64>? = nil,
        sequences: Range<UInt64>? = nil,
        expected: String,
        found: String
    ) {
        report.findings.append(
            Damage(
                kind,
                file: file.string,
                position: position,
                positions: positions,
                sequences: sequences,
                expected: expected,
                found: found
            )
        )
    }
}
