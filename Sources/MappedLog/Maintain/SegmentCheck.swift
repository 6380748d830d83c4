internal import SystemPackage
internal import _CMappedLog

/// What a segment's bytes are, damage and all: runs of whole frames, and gaps between them.
///
/// Found by reading only.
///
/// Whether a gap is damage or a torn tail is for those to say who know what is durable.
struct SegmentCheck: Sendable {
    /// Whole frames and whole batches, one behind the other.
    struct Run: Sendable {
        let start: UInt64
        var end: UInt64
        /// Of its first record; nil: not known.
        var sequence: UInt64?
        var records: UInt64 = 0
        /// Behind the last lost frame in it, which says the sequence anew.
        var behindLost: (sequence: UInt64, records: UInt64)?

        var sequenceBehind: UInt64? {
            if let behindLost { return behindLost.sequence &+ behindLost.records }
            return sequence.map { $0 &+ records }
        }
    }

    /// What lies behind the run of the same number and isn't whole.
    struct Gap: Sendable {
        enum Kind: Sendable {
            case nothing
            case bad
            case unsupported
            case unreadable
        }
        let kind: Kind
        /// Where the last whole frame or batch ends.
        let start: UInt64
        /// Where it showed.
        let stop: UInt64
        /// Where the next run starts; nil: there is none.
        var end: UInt64?
        let reason: String
        /// How many records its words speak of, if they can be followed to the next run.
        var recordsByWords: UInt64?
        /// The sequence behind it rests on those words alone.
        var isGuess = false
    }

    struct Lost: Sendable {
        let offset: UInt64
        let byteCount: UInt64
        let sequence: UInt64?
        let next: UInt64
    }

    /// The sequence of the next record behind a place in the segment, as something outside it says.
    struct Behind {
        let offset: UInt64
        let sequence: UInt64
    }

    /// The first frame of a block, as the index should name it.
    struct BlockStart: Sendable {
        let frame: Frame
        let run: Int
        let recordsBefore: UInt64
        let behindLost: (sequence: UInt64, records: UInt64)?
        let largestBefore: Int64
        /// Behind a gap or a lost frame the true maximum may be larger.
        let mayBeLarger: Bool
    }

    struct IndexFault: Sendable {
        let block: UInt64
        /// Before this offset all must be durable for the fault to be damage.
        let offset: UInt64
        let expected: String
        let found: String
    }

    let base: UInt64
    let header: SegmentHeader
    let activation: ActivationLine?
    let seal: SealLine?
    var runs: [Run] = []
    var gaps: [Gap] = []
    var lost: [Lost] = []
    var endFrame: Frame?
    var statedDurable: UInt64?
    var smallestTimestamp = Int64.max
    var largestTimestamp = Int64.min
    /// What isn't zero behind the `end` frame.
    var behindEnd: Range<UInt64>?
    var unreadable: [Range<UInt64>] = []
    var indexFaults: [IndexFault] = []
    /// Dropped once the index is checked.
    var blocks: [UInt64: BlockStart] = [:]

    var records: UInt64 { runs.reduce(0) { $0 + $1.records } }
    /// Where reading stops: behind `end`, or behind the last run.
    var end: UInt64 { runs.last?.end ?? SegmentGeometry.dataStart }
    var isDoubtful: Bool { !gaps.isEmpty || !lost.isEmpty }

    /// Looks at nothing at or behind the limit, a live log's tail; `progress` is told the offset, now and then.
    init(_ scanner: SegmentScanner, limit: UInt64?, progress: (UInt64) -> Void) throws(LogError) {
        base = scanner.base
        header = scanner.header
        activation = try scanner.activation()
        seal = try scanner.seal()
        var walk = SegmentCheckWalk(sequence: activation?.baseSequence)
        try walk.run(scanner, limit: limit ?? .max, check: &self, progress: progress)
        if let endFrame, limit == nil || endFrame.end < limit! {
            let rest = endFrame.end..<scanner.geometry.dataEnd
            if let first = try scanner.firstNonZero(in: rest) {
                behindEnd = first & ~7..<(try scanner.endOfNonZero(in: rest) + 7) & ~7
            }
        }
    }

    // MARK: Sequences

    /// Gives each run its sequence, from what stands before the segment, in its index, and behind it.
    ///
    /// - Parameters:
    ///   - first: Of the segment's first record.
    ///   - behind: Of the first record behind a run that ends at an offset.
    ///   - index: The index entries that are right in themselves.
    mutating func number(first: UInt64?, behind: Behind?, index: [UInt64: IndexEntry]) {
        var anchors: [Int: UInt64] = [:]
        for (block, start) in blocks where start.behindLost == nil {
            guard let entry = index[block], entry.offset == start.frame.offset else { continue }
            let (sequence, overflow) = entry.sequence.subtractingReportingOverflow(start.recordsBefore)
            if !overflow { anchors[start.run] = min(anchors[start.run] ?? .max, sequence) }
        }
        for number in runs.indices {
            if number == 0 {
                runs[0].sequence = first ?? anchors[0]
                if runs[0].sequence == nil { runs[0].sequence = fromBehind(behind, runs[0]) }
                continue
            }
            let gap = gaps[number - 1]
            let before = runs[number - 1].sequenceBehind
            let candidates = [anchors[number], fromBehind(behind, runs[number])]
            let fitting = candidates.compactMap { $0 }.first { candidate in
                guard let before, let end = gap.end else { return true }
                return candidate >= before && candidate - before <= (end - gap.start) / SegmentGeometry.frameHeaderSize
            }
            if let fitting {
                runs[number].sequence = fitting
            } else if let before, let records = gap.recordsByWords {
                runs[number].sequence = before &+ records
                gaps[number - 1].isGuess = true
            }
        }
    }

    private func fromBehind(_ behind: Behind?, _ run: Run) -> UInt64? {
        guard let behind, behind.offset == run.end, run.behindLost == nil, behind.sequence >= run.records else {
            return nil
        }
        return behind.sequence - run.records
    }
}
