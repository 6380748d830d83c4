internal import _CMappedLog

/// What a walk over a segment's frames came to.
struct SegmentWalk: Sendable {
    enum Stop: Sendable {
        /// Nothing more was written, or not yet.
        case empty
        case end(Frame)
        case unsupported(String)
        case bad(String)
    }

    var stop = Stop.empty
    /// Where the walk's whole records and batches end: where a torn tail is cut.
    var end: UInt64
    /// Where it stopped; behind `end` only inside a batch that isn't whole.
    var stopOffset: UInt64
    /// Of the next record.
    var sequence: UInt64
    var recordCount: UInt64 = 0
    var firstTimestamp: Int64?
    var lastTimestamp: Int64?
    var smallestTimestamp = Int64.max
    var largestTimestamp = Int64.min
    /// The largest durable watermark that a frame states.
    var statedDurable: UInt64 = 0
    var endsWithMark = false
    /// Whether repair wrote over a damaged range here: the largest timestamp may be gone with it.
    var hasLost = false

    init(from offset: UInt64, sequence: UInt64) {
        end = offset
        stopOffset = offset
        self.sequence = sequence
    }

    /// What is wrong with a lost frame that would take the sequence back, or nil.
    func misnumbering(_ frame: Frame) -> String? {
        let next = UInt64(bitPattern: frame.timestamp)
        guard frame.kind == .lost, next < sequence else { return nil }
        return "a lost frame before sequence \(next), behind sequence \(sequence)"
    }

    mutating func add(_ frame: Frame, base: UInt64) {
        switch frame.kind {
        case .record:
            sequence &+= 1
            recordCount += 1
            if firstTimestamp == nil { firstTimestamp = frame.timestamp }
            lastTimestamp = frame.timestamp
            smallestTimestamp = min(smallestTimestamp, frame.timestamp)
            largestTimestamp = max(largestTimestamp, frame.timestamp)
        case .lost:
            sequence = max(sequence, UInt64(bitPattern: frame.timestamp))
            hasLost = true
        default:
            break
        }
        if frame.kind != .end {
            end = frame.end
            endsWithMark = frame.kind == .mark
        }
        statedDurable = max(statedDurable, frame.statedDurable(base: base) ?? 0)
    }
}

/// Whether a frame may follow, going by the flags of its batch.
struct BatchState: Sendable {
    private(set) var isInside: Bool

    init(isInside: Bool = false) {
        self.isInside = isInside
    }

    /// What is wrong, or nil: the frame may stand here.
    mutating func accept(_ frame: Frame) -> String? {
        let flags = frame.kind == .record ? frame.word.flags : 0
        switch flags {
        case FrameWord.Batch.first:
            if isInside { return "a batch inside a batch" }
            isInside = true
        case FrameWord.Batch.inner:
            if !isInside { return "an inner record of a batch without its first" }
        case FrameWord.Batch.last:
            if !isInside { return "the last record of a batch without its first" }
            isInside = false
        default:
            if isInside { return "a batch without its last record" }
        }
        return nil
    }
}

extension SegmentScanner {
    /// Walks over whole records and batches from a frame on, up to the first thing that is none.
    ///
    /// Starts where a frame starts, outside any batch; `sequence` is that of the first record at or behind it. `visit` is
    /// called for each frame but `end`, in order, with what the walk knew before the frame; of a batch only when it is
    /// whole.
    func walk(
        from offset: UInt64,
        sequence: UInt64,
        visit: (Frame, SegmentWalk) throws(LogError) -> Void = { (_, _) throws(LogError) in }
    ) throws(LogError) -> SegmentWalk {
        var walk = SegmentWalk(from: offset, sequence: sequence)
        var batch = BatchState()
        var pending: [Frame] = []
        while true {
            if !batch.isInside, let frame = plainRecord(at: walk.stopOffset) {
                walk.stopOffset = frame.end
                try visit(frame, walk)
                walk.add(frame, base: base)
                continue
            }
            switch try frame(at: walk.stopOffset) {
            case .empty:
                walk.stop = .empty
                return walk
            case .bad(let reason):
                walk.stop = .bad(reason)
                return walk
            case .unsupported(_, let part):
                walk.stop = .unsupported(part)
                return walk
            case .frame(let frame):
                if let reason = batch.accept(frame) ?? walk.misnumbering(frame) {
                    walk.stop = .bad(reason)
                    return walk
                }
                if frame.kind == .end {
                    walk.add(frame, base: base)
                    walk.stop = .end(frame)
                    return walk
                }
                pending.append(frame)
                walk.stopOffset = frame.end
                if batch.isInside { continue }
                for frame in pending {
                    try visit(frame, walk)
                    walk.add(frame, base: base)
                }
                pending.removeAll(keepingCapacity: true)
            }
        }
    }

    /// The largest durable watermark that any valid frame of the segment states, holes stepped over; nil: none does.
    func statedDurable() throws(LogError) -> UInt64? {
        var largest: UInt64?
        var offset = SegmentGeometry.dataStart
        while true {
            switch try frame(at: offset) {
            case .frame(let frame), .unsupported(let frame, _):
                if let stated = frame.statedDurable(base: base) { largest = max(largest ?? 0, stated) }
                if frame.kind == .end && frame.word.length == 0 { return largest }
                offset = frame.end
            case .empty, .bad:
                guard let next = try nextFrame(from: offset + 8) else { return largest }
                offset = next.offset
            }
        }
    }
}
