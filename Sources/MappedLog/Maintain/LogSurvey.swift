internal import SystemPackage
internal import _CMappedLog

/// What recovery would make of a log, found by reading only (`spec/protocol.md`, "Recover").
///
/// The first writer acts on it; a tailer of a log that nobody has recovered stops where it says.
struct LogSurvey: Sendable {
    enum Ending: Sendable {
        /// The walk came to a 0; behind it there may be a torn tail.
        case open
        /// The last good frame is `end`, and its successor is missing or not activated.
        case sealed
    }

    /// Segments by base, first to last.
    let bases: [UInt64]
    /// Known durable: all before it was on the disk once, so what is bad there is damage.
    let durable: UInt64
    /// The bases walked: from the segment that holds `durable` to the one with the cut.
    let walked: [UInt64]
    let ending: Ending
    /// The end of the log.
    ///
    /// All that lies behind is cut off.
    let end: UInt64
    /// Of the segment that holds `end`.
    let walk: SegmentWalk
    /// Of the first record of the segment that holds `end`.
    let baseSequence: UInt64
    let largestTimestampBefore: Int64
    var nextSequence: UInt64 { walk.sequence }

    /// What an append slot says of this end of the log.
    var slot: mlog_append_slot {
        mlog_append_slot(
            tail: end,
            sequence: nextSequence,
            smallest_timestamp: walk.smallestTimestamp,
            largest_timestamp: walk.largestTimestamp
        )
    }

    /// - Throws: `damaged`, `missingSegment` and the like where what was durable can't be read.
    init(
        of log: LogPlace,
        visit: (SegmentScanner, Frame, SegmentWalk) throws(LogError) -> Void = { _, _, _ in }
    ) throws(LogError) {
        let bases = try log.bases()
        // It was durable before the log was one; who seeks needs it, though the walk may start far behind it.
        guard try log.activation(bases[0]) != nil else { throw log.badActivation(bases[0]) }
        durable = try Self.knownDurable(log, bases)
        self.bases = bases
        var (base, line) = try Self.start(log, bases, durable: durable)
        var walked: [UInt64] = []
        while true {
            walked.append(base)
            let scanner = try log.scanner(base)
            let walk = try scanner.walk(from: SegmentGeometry.dataStart, sequence: line.baseSequence) {
                frame,
                walk throws(LogError) in try visit(scanner, frame, walk)
            }
            var ending = Ending.open
            switch walk.stop {
            case .unsupported(let part):
                throw log.unsupported(part, scanner.file.path, base + walk.stopOffset)
            case .bad(let reason):
                guard base + walk.end >= durable else {
                    throw .damaged(
                        scanner.file.path,
                        base + walk.stopOffset,
                        expected: "a frame, known durable up to \(durable)",
                        found: reason
                    )
                }
            case .empty:
                guard base + walk.end >= durable else {
                    throw .damaged(
                        scanner.file.path,
                        base + walk.stopOffset,
                        expected: "a frame, known durable up to \(durable)",
                        found: walk.end == walk.stopOffset ? "nothing" : "a batch without its end"
                    )
                }
            case .end:
                let next = base + log.geometry.segmentSize
                let expected = ExpectedActivation(behind: walk, line)
                if let successor = try Self.successor(log, next, bases, expected, durable: durable) {
                    (base, line) = (next, successor)
                    continue
                }
                ending = .sealed
            }
            self.walk = walk
            self.ending = ending
            self.walked = walked
            baseSequence = line.baseSequence
            largestTimestampBefore = line.largestTimestampBefore
            end = ending == .sealed ? base + log.geometry.segmentSize + SegmentGeometry.dataStart : base + walk.end
            return
        }
    }

    /// The largest watermark that any valid frame states, or a compacted segment.
    ///
    /// The watermark only rises, so of the frames those of the last segment that states one have the largest. But they
    /// may be older than the compaction of a segment before them, the one that holds their watermark included.
    private static func knownDurable(_ log: LogPlace, _ bases: [UInt64]) throws(LogError) -> UInt64 {
        var stated: UInt64?
        for base in bases.reversed() {
            let scanner = try log.scanner(base)
            // Only what is durable is compacted, up to the start of the segment behind it.
            if scanner.isCompacted {
                return max(stated ?? 0, base + log.geometry.segmentSize + SegmentGeometry.dataStart)
            }
            if stated == nil { stated = try scanner.statedDurable() }
            // What lies before says less.
            if let stated, stated >= base { return stated }
        }
        return max(stated ?? 0, bases[0] + SegmentGeometry.dataStart)
    }

    /// Where to start walking: the segment that holds the watermark, or the one before where the watermark stands at
    /// its very start and it was never activated.
    private static func start(
        _ log: LogPlace,
        _ bases: [UInt64],
        durable: UInt64
    ) throws(LogError) -> (UInt64, ActivationLine) {
        let held = log.geometry.base(of: durable)
        guard var index = bases.lastIndex(where: { $0 <= held }) else {
            throw log.missing(held, durable: durable)
        }
        let line = try log.activation(bases[index])
        if let line { return (bases[index], line) }
        if index > 0, durable <= bases[index] + SegmentGeometry.dataStart {
            index -= 1
            if let line = try log.activation(bases[index]) { return (bases[index], line) }
        }
        throw log.badActivation(bases[index])
    }

    /// The activation of a sealed segment's successor, or nil where there is none yet.
    private static func successor(
        _ log: LogPlace,
        _ base: UInt64,
        _ bases: [UInt64],
        _ expected: ExpectedActivation,
        durable: UInt64
    ) throws(LogError) -> ActivationLine? {
        let isDurable = durable >= base + SegmentGeometry.dataStart
        guard bases.contains(base) else {
            if isDurable { throw log.missing(base, durable: durable) }
            return nil
        }
        if let line = try log.activation(base), expected.agrees(with: line) { return line }
        guard !isDurable else {
            throw .damaged(
                log.medium.segmentPath(base),
                base + SegmentGeometry.dataStart,
                expected: expected.description,
                found: "none, or another"
            )
        }
        return nil
    }
}
