internal import SystemPackage
internal import _CMappedLog

/// A place between two frames of a log, and how to move on from it.
///
/// What is hot is kept in plain fields; the mapping it points into is held by `segment`.
@safe struct Cursor: ~Copyable {
    let reader: LogReader
    private(set) var segment: Segment
    private(set) nonisolated(unsafe) var start: UnsafeMutableRawPointer
    private(set) var base: UInt64
    /// Behind this no frame but `end` may reach, nor, in a compacted segment, any that may be read by `start`.
    private(set) var limit: UInt64
    var offset: UInt64
    /// Of the next record.
    var sequence: UInt64
    /// Frames before this offset belong to a batch that was found whole.
    private var batchEnd: UInt64 = 0
    /// The offset to which a seek or a step back came, over committed frames: maybe into the middle of a batch.
    private var enteredAt: UInt64
    /// The cursor stands at an `end` frame whose successor isn't there yet: the log goes on in that.
    private(set) var isBehindEnd: Bool
    private var epoch: UInt64?
    let checksums: Bool

    var position: UInt64 { base + offset }
    /// Where the log goes on: the same place as `position`, but named as the next frame will be.
    var nextPosition: UInt64 { isBehindEnd ? base + geometry.segmentSize + SegmentGeometry.dataStart : position }
    var geometry: SegmentGeometry { reader.log.geometry }

    init(_ reader: LogReader, at place: Seek.Place, checksums: Bool) {
        self.reader = reader
        segment = place.segment
        unsafe start = place.segment.start
        base = place.segment.base
        limit = place.segment.limit(from: place.offset)
        offset = place.offset
        sequence = place.sequence
        enteredAt = place.offset
        isBehindEnd = place.isBehindEnd
        self.checksums = checksums
        epoch = reader.epoch
    }

    /// Moves to a place in a segment.
    mutating func move(to segment: Segment, offset: UInt64, sequence: UInt64, isBehindEnd: Bool = false) {
        self.segment = segment
        unsafe start = segment.start
        base = segment.base
        self.offset = offset
        self.sequence = sequence
        self.isBehindEnd = isBehindEnd
        batchEnd = 0
        enteredAt = offset
        limit = segment.limit(from: offset)
    }

    /// Makes the frame here readable by `start`, whatever was looked at since it was found.
    mutating func settle(_ word: FrameWord) throws(LogError) {
        guard segment.isCompacted else { return }
        try segment.ensure(offset..<offset + word.frameSize)
        limit = segment.limit(from: offset)
    }

    /// Moves back over committed frames of the segment.
    mutating func moveBack(to offset: UInt64, sequence: UInt64) {
        self.offset = offset
        self.sequence = sequence
        isBehindEnd = false
        enteredAt = offset
    }

    /// Whether the bytes of a frame that fits are what was appended.
    @inline(__always)
    func isWhole(_ word: FrameWord) -> Bool {
        if !checksums { return true }
        let frame = unsafe start + Int(offset)
        let crc = unsafe mlog_frame_crc(frame, Int(word.frameSize), word.rawValue, position, segment.seed)
        return unsafe frame.load(fromByteOffset: 8, as: UInt32.self) == crc
    }

    @inline(__always)
    func timestamp() -> Int64 {
        unsafe (start + Int(offset)).load(fromByteOffset: 16, as: Int64.self)
    }

    @inline(__always)
    mutating func passRecord(_ word: FrameWord) {
        offset &+= word.frameSize
        sequence &+= 1
    }

    // MARK: To the next record

    /// Moves over what is no record to the next whole one, and returns its word; nil: nothing yet.
    ///
    /// - Throws: `damaged` where what was durable can't be read; `recordsGone`, once, where records are gone for good:
    ///   the cursor then stands behind them.
    mutating func findRecord() throws(LogError) -> FrameWord? {
        while true {
            switch frame() {
            case .empty:
                if try remapIfReplaced() { continue }
                if try becameDurable("nothing") { continue }
                return nil
            case .bad(let reason):
                // It may have been cut off and written anew since: the word and the epoch are read again.
                if try remapIfReplaced() { continue }
                if case .bad = frame() {
                    if try becameDurable(reason) { continue }
                    return nil
                }
            case .unsupported(_, let part):
                throw reader.log.unsupported(part, segment.file.path, position)
            case .frame(let frame):
                switch frame.kind {
                case .record:
                    try settle(frame.word)
                    return frame.word
                case .end: if try !followEnd(frame) { return nil }
                case .lost where UInt64(bitPattern: frame.timestamp) < sequence:
                    guard position < (try reader.knownDurable()) else { return nil }
                    throw .damaged(
                        segment.file.path,
                        position,
                        expected: "a lost frame whose next sequence is at least \(sequence)",
                        found: "\(frame.timestamp)"
                    )
                case .lost: try passLost(frame)
                default: offset = frame.end
                }
            }
        }
    }

    /// The frame here; of a batch only once all of it is whole.
    private mutating func frame() -> FrameFinding {
        let found = segment.frame(at: offset)
        if case .frame(let lost) = found, lost.kind == .lost, UInt64(bitPattern: lost.timestamp) < sequence {
            return .bad("a lost frame that would take the sequence back")
        }
        guard case .frame(let first) = found, first.kind == .record, first.word.flags != 0, offset >= batchEnd else {
            return found
        }
        var batch = BatchState(isInside: offset == enteredAt && first.word.flags != FrameWord.Batch.first)
        var next = first
        while true {
            if let reason = batch.accept(next) { return .bad(reason) }
            if !batch.isInside { break }
            guard case .frame(let follower) = segment.frame(at: next.end) else {
                return .bad("a batch without its last record")
            }
            next = follower
        }
        batchEnd = next.end
        return found
    }

    /// Goes on in the next segment; false: it isn't there yet.
    private mutating func followEnd(_ frame: Frame) throws(LogError) -> Bool {
        if try remapIfReplaced() { return true }
        let next = base + geometry.segmentSize
        guard let segment = try reader.segment(next) else {
            if try reader.knownDurable() >= next + SegmentGeometry.dataStart { throw try passAbsent(next) }
            let isThereBehind = try reader.log.medium.listSegments().contains { $0.base >= next }
            if isThereBehind, try reader.segment(next) == nil { throw try passAbsent(next) }
            isBehindEnd = true
            return false
        }
        guard segment.activation?.baseSequence == sequence else {
            isBehindEnd = true
            if try reader.knownDurable() < next + SegmentGeometry.dataStart { return false }
            throw reader.log.badActivation(next, expected: "an activation line with sequence \(sequence)")
        }
        move(to: segment, offset: SegmentGeometry.dataStart, sequence: sequence)
        return true
    }

    /// Why a segment isn't there.
    ///
    /// Where its records are gone for good, the cursor moves behind them, to be told once.
    private mutating func passAbsent(_ absent: UInt64) throws(LogError) -> LogError {
        let error = reader.absence(of: absent, sequence: sequence)
        if let gone = error.goneSequences, let position = error.position,
            let first = try reader.segment(geometry.base(of: position.rawValue))
        {
            move(to: first, offset: SegmentGeometry.dataStart, sequence: gone.upperBound)
        }
        return error
    }

    /// Reports, once, the records that repair could not keep.
    private mutating func passLost(_ frame: Frame) throws(LogError) {
        let gone = sequence..<UInt64(bitPattern: frame.timestamp)
        let place = position
        offset = frame.end
        sequence = gone.upperBound
        throw .gone(gone, position: place)
    }

    /// Maps the segment again if files were replaced; false: nothing changed.
    private mutating func remapIfReplaced() throws(LogError) -> Bool {
        let now = reader.epoch
        guard now != epoch else { return false }
        epoch = now
        guard let segment = try reader.segment(base) else { throw try passAbsent(base) }
        move(to: segment, offset: offset, sequence: sequence)
        return true
    }

    /// Whether a frame has been written here, and made durable, since nothing good was found; false: it is not durable.
    ///
    /// - Throws: `damaged` where it is durable and still not there: the watermark is read first, then the frame again.
    private mutating func becameDurable(_ found: String) throws(LogError) -> Bool {
        let durable = try reader.knownDurable()
        guard position < durable else { return false }
        switch frame() {
        case .frame, .unsupported: return true
        case .empty, .bad: break
        }
        if try remapIfReplaced() { return true }
        throw .damaged(
            segment.file.path,
            position,
            expected: "a frame, known durable up to \(durable)",
            found: found
        )
    }
}
