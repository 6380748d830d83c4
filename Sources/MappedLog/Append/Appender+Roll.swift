internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension Appender {
    /// The slow half of `begin`: refuses when the log is closed for writing, maps the active segment when another
    /// process has moved on, rolls when the segment is full, and finds that the populator is to be rung.
    @inline(never)
    func makeRoom(_ turn: inout Turn, _ room: UInt64, _ records: UInt64) throws(LogError) {
        if let failure = writingFailure() { throw failure }
        guard turn.slot.sequence <= SegmentGeometry.sequenceLimit - records else {
            throw LogError(
                .outOfRange,
                file: segments.log.medium.path,
                expected: "sequences of less than 2^63",
                found: "\(records) records from sequence \(turn.slot.sequence) on",
                advice: "go on in a new log"
            )
        }
        try enterSegment(&turn)
        if !geometry.fits(offset: turn.offset, size: room, isEnd: false) { try roll(&turn) }
        guard unsafe turn.offset + room > local.pointee.bellOffset else { return }
        turn.isAtBell = true
        letGoForPopulator(turn.offset)
        unsafe local.pointee.unansweredBell = turn.offset
        setBell(turn.offset + Self.bellDistance)
    }

    /// A populator that is held up, by memory that is slow to come, doesn't let go of what lies behind the tail either.
    private func letGoForPopulator(_ offset: UInt64) {
        guard unsafe local.pointee.unansweredBell < offset else { return }
        unsafe local.pointee.isPopulatorHeldUp = true
        let first = unsafe local.pointee.unansweredBell
        let behind = Populator.wholePieces(from: first - min(first, 2 * Self.bellDistance), to: offset)
        unsafe active.pointee?.mapping.letGo(from: Int(behind.lowerBound), byteCount: behind.count)
    }

    /// Why nothing may be written any more, or nil.
    func writingFailure() -> LogError? {
        control.writingFailure(of: segments.log.medium.path)
    }

    /// Makes the segment that holds the tail this process's active one.
    func enterSegment(_ turn: inout Turn) throws(LogError) {
        let base = geometry.base(of: turn.slot.tail)
        let known = unsafe local.pointee.base
        guard known == Self.noBase || base >= known else { throw tailWentBack(turn.slot.tail, behind: known) }
        if known != base {
            let segment = try segments.segment(base)
            // One that was rung just now will do it itself.
            let isUnanswered = unsafe local.pointee.unansweredBell != .max
            if unsafe local.pointee.isPopulatorHeldUp { letGoForPopulator(geometry.segmentSize) }
            unsafe local.pointee.isPopulatorHeldUp = isUnanswered
            unsafe local.pointee.unansweredBell = .max
            unsafe active.pointee = segment
            unsafe local.pointee.start = segment.start
            unsafe local.pointee.seed = segment.seed
            unsafe local.pointee.base = base
            unsafe local.pointee.indexedEnd = 0
            setBell(0)
        }
        turn.offset = turn.slot.tail - base
    }

    /// Tails only rise: whatever stored this one, nothing is stored where it says.
    private func tailWentBack(_ tail: UInt64, behind known: UInt64) -> LogError {
        LogError(
            .damaged,
            file: segments.log.medium.path,
            expected: "a tail from position \(known) on, in the control file",
            found: "position \(tail)",
            advice: "close the log in all processes, then open it again: it recovers"
        )
    }

    /// Ends the active segment and goes on in the next (`spec/protocol.md`, "Roll").
    private func roll(_ turn: inout Turn) throws(LogError) {
        let base = unsafe local.pointee.base
        let next = try segments.prepared(base + geometry.segmentSize)
        guard let segment = unsafe active.pointee, let line = segment.activation else {
            throw .damaged(
                segments.log.medium.segmentPath(base),
                base + UInt64(MLOG_ACTIVATION_OFFSET),
                expected: "an activation line",
                found: "none, or a bad one"
            )
        }
        activate(next, after: segment, line, turn.slot)
        let size = SegmentGeometry.frameHeaderSize
        control.fillNextSlot(turn.generation, turn.slot.adding(records: 0, size: size, smallest: .max, largest: .min))
        let frame = unsafe segment.start + Int(turn.offset)
        let word = FrameWord(kind: .end, length: 0)
        unsafe complete(frame, word, turn, position: turn.slot.tail, timestamp: LogClock.coarse.read())
        unsafe commit(word, at: frame)
        finishRoll(&turn, segment, line)
        try enterSegment(&turn)
    }

    /// Writes the activation line.
    ///
    /// It counts only once the predecessor has its `end` frame, so each roll writes it.
    private func activate(
        _ next: Segment,
        after segment: Segment,
        _ line: ActivationLine,
        _ slot: mlog_append_slot
    ) {
        next.store(
            ActivationLine(
                baseSequence: slot.sequence,
                largestTimestampBefore: max(line.largestTimestampBefore, slot.largest_timestamp)
            )
        )
    }

    /// What follows the `end` word: the seal, and the slot that stands at the start of the next segment.
    private func finishRoll(_ turn: inout Turn, _ segment: Segment, _ line: ActivationLine) {
        let slot = turn.slot
        let isShort = control.lostPosition.load() == segment.base + SegmentGeometry.dataStart
        let lost = isShort ? control.lostCount.load() : 0
        segment.store(
            SealLine(
                endOffset: slot.tail - segment.base,
                recordCount: slot.sequence &- line.baseSequence &- lost,
                smallestTimestamp: slot.smallest_timestamp,
                largestTimestamp: slot.largest_timestamp
            )
        )
        let next = mlog_append_slot(
            tail: segment.base + geometry.segmentSize + SegmentGeometry.dataStart,
            sequence: slot.sequence,
            smallest_timestamp: .max,
            largest_timestamp: .min
        )
        control.fillNextSlot(turn.generation, next)
        turn.generation &+= 1
        control.generation.store(turn.generation)
        turn.slot = next
    }

    // MARK: A dead owner

    /// Makes whole what the dead owner of the lock left; the lock is held when this returns.
    ///
    /// - Throws: with the lock let go, when the repair can't begin here, and is left to the next, or fails: then the log
    ///   needs recovery.
    @inline(never)
    func takeOverFromDeadOwner() throws(LogError) {
        if control.needsRecovery.load() == 0 { control.needsRecovery.store(UInt32(MLOG_REPAIR_DUE)) }
        do throws(LogError) {
            try repairAfterDeath()
        } catch {
            mutex.markConsistent()
            mutex.unlock()
            throw error
        }
        if control.isRepairDue { control.needsRecovery.store(0) }
        // Last, so that a second death repeats the repair.
        mutex.markConsistent()
        wakeAll()
    }

    /// The word at the tail decides, and nothing else (`spec/protocol.md`, "A dead owner").
    ///
    /// - Throws: what keeps this process from opening what it needs: nothing is changed then, and another may do it; and
    ///   `needsRecovery`, or what a flush met, behind which nobody may.
    private func repairAfterDeath() throws(LogError) {
        if control.batchWords.load() == 2 {
            throw recoveryNeeded(.deadRepair(segments.log.medium.path))
        }
        // What this process knows of the active segment may be of its own dead thread's making.
        unsafe local.pointee.base = Self.noBase
        guard let thread = unsafe mlog_thread() else { throw .noThreadMark }
        var turn = unsafe currentTurn(thread)
        let (generation, slot) = (turn.generation, turn.slot)
        try enterSegment(&turn)
        guard let segment = unsafe active.pointee else { return }
        let word = segment.word(at: turn.offset)
        if word.rawValue == 0 {
            try clear(segment, turn.offset, pendingEnd: control.slot(generation &+ 1).tail)
        } else if word.kind == .end {
            guard let line = segment.activation else {
                throw .damaged(
                    segment.file.path,
                    segment.base + UInt64(MLOG_ACTIVATION_OFFSET),
                    expected: "an activation line",
                    found: "none, or a bad one"
                )
            }
            activate(try segments.prepared(segment.base + geometry.segmentSize), after: segment, line, slot)
            finishRoll(&turn, segment, line)
        } else {
            control.generation.store(generation &+ 1)
        }
        control.batchWords.store(0)
    }

    /// Zeroes what was written but never committed, and the index entries that name it.
    private func clear(_ segment: Segment, _ offset: UInt64, pendingEnd: UInt64) throws(LogError) {
        let tail = segment.base + offset
        guard pendingEnd > tail, pendingEnd <= segment.base + geometry.dataEnd else { return }
        unsafe memset(segment.start + Int(offset), 0, Int(pendingEnd - tail))
        let lastBlock = (pendingEnd - segment.base - 1) / SegmentGeometry.blockSize
        for block in offset / SegmentGeometry.blockSize...lastBlock {
            if let entry = segment.indexEntry(block: block), entry.offset < offset { continue }
            segment.clearIndexEntry(block: block)
        }
        // Words of a dead batch may be on the disk already, and would come back beside a new batch's first frame.
        guard control.batchWords.load() != 0 else { return }
        // A repairer that dies in this flush may have seen it fail and told nobody.
        control.batchWords.store(2)
        do throws(LogError) { try segment.file.flushData() } catch { throw recoveryNeeded(error) }
    }

    /// Nobody appends any more until a first writer recovers; why.
    private func recoveryNeeded(_ failure: LogError) -> LogError {
        control.needsRecovery.store(UInt32(bitPattern: failure.errno?.rawValue ?? EIO))
        return failure
    }
}
