internal import _CMappedLog

/// The walk that finds a segment's runs and gaps, and goes on behind each gap at the next whole frame.
struct SegmentCheckWalk {
    private var run = SegmentCheck.Run(start: SegmentGeometry.dataStart, end: SegmentGeometry.dataStart)
    private var batch = BatchState()
    private var pending: [Frame] = []
    /// Of the next record; nil behind a gap.
    private var sequence: UInt64?
    private var offset = SegmentGeometry.dataStart

    init(sequence: UInt64?) {
        self.sequence = sequence
    }

    mutating func run(
        _ scanner: SegmentScanner,
        limit: UInt64,
        check: inout SegmentCheck,
        progress: (UInt64) -> Void
    ) throws(LogError) {
        while offset < limit {
            progress(offset)
            let found = try scanner.frame(at: offset)
            switch found {
            case .empty:
                try gap(.nothing, "nothing", from: offset + 8, scanner, limit, &check)
            case .bad(let reason):
                try gap(.bad, reason, from: offset + 8, scanner, limit, &check)
            case .unsupported(let frame, let part):
                note(frame, &check)
                try gap(.unsupported, part, from: frame.end, scanner, limit, &check)
            case .frame(let frame):
                note(frame, &check)
                if let reason = batch.accept(frame) ?? misnumbering(frame) {
                    // It may be whole in itself, and the first of a new run.
                    let isStart = !pending.isEmpty && !Self.continuesBatch(frame)
                    try gap(.bad, reason, from: isStart ? offset : frame.end, scanner, limit, &check)
                } else {
                    pending.append(frame)
                    offset = frame.end
                    if batch.isInside { continue }
                    for frame in pending { add(frame, &check) }
                    pending.removeAll(keepingCapacity: true)
                    if frame.kind == .end { break }
                    continue
                }
            }
            if check.endFrame != nil || check.gaps.last?.end == nil && !check.gaps.isEmpty { break }
        }
        if check.gaps.isEmpty || check.gaps[check.gaps.count - 1].end != nil { check.runs.append(run) }
        check.unreadable = scanner.unreadable
    }

    private static func continuesBatch(_ frame: Frame) -> Bool {
        frame.kind == .record && frame.word.flags & (FrameWord.Batch.inner | FrameWord.Batch.last) != 0
    }

    private func misnumbering(_ frame: Frame) -> String? {
        guard frame.kind == .lost, let sequence, UInt64(bitPattern: frame.timestamp) < sequence else { return nil }
        return "a lost frame before sequence \(UInt64(bitPattern: frame.timestamp)), behind sequence \(sequence)"
    }

    private func note(_ frame: Frame, _ check: inout SegmentCheck) {
        guard let stated = frame.statedDurable(base: check.base) else { return }
        check.statedDurable = max(check.statedDurable ?? 0, stated)
    }

    // MARK: Whole frames

    private mutating func add(_ frame: Frame, _ check: inout SegmentCheck) {
        let block = frame.offset / SegmentGeometry.blockSize
        if check.blocks[block] == nil {
            check.blocks[block] = SegmentCheck.BlockStart(
                frame: frame,
                run: check.gaps.count,
                recordsBefore: run.records,
                behindLost: run.behindLost,
                largestBefore: check.largestTimestamp,
                mayBeLarger: check.isDoubtful
            )
        }
        switch frame.kind {
        case .record:
            run.records += 1
            run.behindLost?.records += 1
            sequence = sequence.map { $0 &+ 1 }
            check.smallestTimestamp = min(check.smallestTimestamp, frame.timestamp)
            check.largestTimestamp = max(check.largestTimestamp, frame.timestamp)
        case .lost:
            let next = UInt64(bitPattern: frame.timestamp)
            check.lost.append(
                SegmentCheck.Lost(offset: frame.offset, byteCount: frame.size, sequence: sequence, next: next)
            )
            run.behindLost = (next, 0)
            sequence = next
        case .end: check.endFrame = frame
        default: break
        }
        run.end = frame.end
    }

    // MARK: Gaps

    private mutating func gap(
        _ kind: SegmentCheck.Gap.Kind,
        _ reason: String,
        from: UInt64,
        _ scanner: SegmentScanner,
        _ limit: UInt64,
        _ check: inout SegmentCheck
    ) throws(LogError) {
        let start = run.end
        let stop = offset
        let next = try nextRun(from: from, atLeast: start + SegmentGeometry.frameHeaderSize, scanner, limit, &check)
        let extent = start..<max(stop + 8, next ?? stop + SegmentGeometry.frameHeaderSize)
        let isUnreadable = scanner.unreadable.contains { $0.overlaps(extent) }
        check.runs.append(run)
        check.gaps.append(
            SegmentCheck.Gap(
                kind: isUnreadable ? .unreadable : kind,
                start: start,
                stop: stop,
                end: next,
                reason: reason,
                recordsByWords: try next.flatMap { next throws(LogError) in
                    try Self.recordsByWords(start..<next, scanner)
                }
            )
        )
        guard let next else { return }
        run = SegmentCheck.Run(start: next, end: next)
        batch = BatchState()
        pending = []
        sequence = nil
        offset = next
    }

    /// Where the next frame stands that may be the first of a run.
    private func nextRun(
        from: UInt64,
        atLeast least: UInt64,
        _ scanner: SegmentScanner,
        _ limit: UInt64,
        _ check: inout SegmentCheck
    ) throws(LogError) -> UInt64? {
        var at = from
        while at < limit {
            var candidate: Frame?
            switch try scanner.frame(at: at) {
            case .frame(let frame), .unsupported(let frame, _): candidate = frame
            case .empty, .bad: candidate = try Self.search(scanner, from: at + 8)
            }
            guard let candidate, candidate.offset < limit else { return nil }
            if candidate.offset >= least && !Self.continuesBatch(candidate) { return candidate.offset }
            note(candidate, &check)
            at = candidate.end
        }
        return nil
    }

    /// A segment that was made to waste the reader's time has no next frame.
    private static func search(_ scanner: SegmentScanner, from offset: UInt64) throws(LogError) -> Frame? {
        do throws(LogError) { return try scanner.nextFrame(from: offset) } catch  where error.code == .damaged {
            return nil
        }
    }

    /// How many records a damaged range held, going by lengths that no checksum vouches for.
    private static func recordsByWords(_ range: Range<UInt64>, _ scanner: SegmentScanner) throws(LogError) -> UInt64? {
        var offset = range.lowerBound
        var count: UInt64 = 0
        while offset < range.upperBound {
            let word = FrameWord(
                rawValue: try unsafe scanner.bytes(at: offset, count: 8).loadUnaligned(as: UInt64.self)
            )
            guard word.unsupportedPart == nil, word.kind != .end, word.kind != .lost,
                word.misfit(at: offset, in: scanner.geometry) == nil
            else { return nil }
            if word.kind == .record { count += 1 }
            offset += word.frameSize
        }
        return offset == range.upperBound ? count : nil
    }
}
