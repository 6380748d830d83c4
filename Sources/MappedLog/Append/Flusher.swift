internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Makes what is committed durable: one flusher at a time across all processes (`spec/protocol.md`, "Sync").
///
/// Safe from any thread.
final class Flusher: Sendable {
    private let block: ControlBlock
    private let control: ControlWords
    private let waiters: Waiters
    private let segments: WritableSegments
    private let mutex: RobustMutex
    /// Looked at only: whose repair is under way.
    private let appendMutex: RobustMutex
    private let stallTimeout: Duration
    /// A flusher may die, and nobody wakes those who follow it.
    private static let longestFollowNanoseconds: UInt64 = 10_000_000
    /// Of a sealed segment, on its way to the disk at a time.
    private static let piece: UInt64 = 4 << 20
    private static let longestGathering = Duration.milliseconds(5)
    private static let pauseMicroseconds: UInt32 = 1000
    private var log: LogPlace { segments.log }

    init(control block: ControlBlock, waiters: Waiters, segments: WritableSegments, options: OpenOptions) {
        self.block = block
        control = block.words
        self.waiters = waiters
        self.segments = segments
        stallTimeout = options.stallTimeout
        // Only tried, or waited for below.
        mutex = control.flushMutex(timeout: stallTimeout)
        appendMutex = control.appendMutex(timeout: stallTimeout)
    }

    /// Returns once everything before `target` is durable: at once if it is, by another's flush, or by its own, which
    /// then covers everything visible.
    func flush(upTo target: UInt64) throws(LogError) {
        if let acquired = try acquire(unless: { control.durable.load() >= target }) { try lead(acquired, target) }
    }

    /// The lock, however long the disk keeps another at it; nil: there is no need any more.
    ///
    /// - Throws: `flushStalled` when the one who has it is stopped, and nothing has moved for the stall timeout.
    private func acquire(unless isDone: () -> Bool) throws(LogError) -> RobustMutex.Acquired? {
        var patience = FlushPatience(stallTimeout)
        while !isDone() {
            if let acquired = try mutex.tryLock() { return acquired }
            if let acquired = try follow(unless: isDone) { return acquired }
            try patience.check(owner: mutex.owner, durable: control.durable.load())
        }
        return nil
    }

    /// Sleeps until a flush has ended; or the lock, where it has come free meanwhile.
    ///
    /// All who wait are woken at once, instead of one by the other: that is what makes group commit pay.
    private func follow(unless isDone: () -> Bool) throws(LogError) -> RobustMutex.Acquired? {
        var acquired: RobustMutex.Acquired?
        try waiters.sleep(until: .durable, nanoseconds: Self.longestFollowNanoseconds) { () throws(LogError) in
            if isDone() { return true }
            acquired = try mutex.tryLock()
            return acquired != nil
        }
        return acquired
    }

    /// Flushes for everybody, with the lock, and lets go of it.
    private func lead(_ acquired: RobustMutex.Acquired, _ target: UInt64) throws(LogError) {
        defer { letGo() }
        try settle(acquired)
        if control.durable.load() >= target { return }
        gather()
        let (sequence, start) = (control.currentSlot().sequence, ContinuousClock.now)
        try flush(to: try visibleEnd())
        let records = waiters.isAwaited(.durable) ? sequence &- control.flushedSequence.load() : 0
        control.flushedRecords.store(UInt32(clamping: records))
        control.flushedSequence.store(sequence)
        control.flushMicroseconds.store(UInt32(clamping: (ContinuousClock.now - start).wholeNanoseconds / 1000))
    }

    /// Lets those append once more who waited for the last flush, so that they share this one.
    ///
    /// As long as they come, each within half the time of a flush, and for two flushes' time at most. A flush that begins
    /// while they are still waking shares the processors with them, and takes several times as long.
    private func gather() {
        let wanted = UInt64(control.flushedRecords.load())
        guard wanted > 1 else { return }
        let first = control.flushedSequence.load()
        let flushTime = Duration.microseconds(Int64(control.flushMicroseconds.load()))
        var now = ContinuousClock.now
        let end = now + min(flushTime * 2, Self.longestGathering)
        var (last, quietEnd) = (first, now + flushTime / 2)
        while now < min(quietEnd, end) {
            let sequence = control.currentSlot().sequence
            if sequence &- first >= wanted { return }
            if sequence != last { (last, quietEnd) = (sequence, now + flushTime / 2) }
            sched_yield()
            now = .now
        }
    }

    /// Whether somebody waits for a flush.
    var isAwaited: Bool { waiters.isAwaited(.durable) }

    /// Repairs what a flusher that died may have left, where nobody could before.
    private func settle(_ acquired: RobustMutex.Acquired) throws(LogError) {
        defer { if case .ownerDied = acquired { mutex.markConsistent() } }
        if control.flushing.load() != 0 { try repeatFlushOfDeadOwner() }
        try throwIfPoisoned()
    }

    /// Behind the lock, so that who is woken by a flush that wasn't his finds it free.
    private func letGo() {
        mutex.unlock()
        waiters.wake(.durable)
    }

    /// Flushes up to the end in any case: the zeros too that lie behind it since an append was taken back.
    func flushEverything() throws(LogError) {
        guard let acquired = try acquire(unless: { false }) else { return }
        defer { letGo() }
        try settle(acquired)
        try flush(to: max(try visibleEnd(), control.durable.load()))
    }

    /// Flushes the first sealed segment that isn't durable; false: there was none, or another flushes.
    ///
    /// One at a time, so that the watermark follows where appends are faster than the disk. It doesn't wait for the lock:
    /// who does is somebody for whom a flush gives way no more. `giveWay` is called before each piece is written, with the
    /// lock held.
    func flushSealed(giveWay: @escaping () -> Void) throws(LogError) -> Bool {
        let isDone = { [self] in
            let active = log.geometry.base(of: control.currentSlot().tail)
            return log.geometry.base(of: control.durable.load()) >= active
        }
        guard !isDone(), let acquired = try mutex.tryLock() else { return false }
        defer {
            let wasAwaited = isAwaited
            letGo()
            // Who was woken by this shall find the lock free.
            if wasAwaited { usleep(Self.pauseMicroseconds) }
        }
        try settle(acquired)
        // Another flusher was faster: the segment may be compacted, or gone, by now.
        if isDone() { return false }
        guard log.medium.isPersistent else {
            control.durable.store(log.geometry.base(of: control.currentSlot().tail) + SegmentGeometry.dataStart)
            return false
        }
        guard let end = try endOfSealed() else { return false }
        try flush(to: end, giveWay: giveWay)
        return true
    }

    /// Where the first sealed segment ends that isn't durable; nil: all are.
    private func endOfSealed() throws(LogError) -> UInt64? {
        let geometry = log.geometry
        var base = geometry.base(of: control.durable.load())
        while base < geometry.base(of: control.currentSlot().tail) {
            if let end = try segments.segment(base).sealedEnd, control.durable.load() < end { return end }
            base += geometry.segmentSize
        }
        return nil
    }

    /// What a flush that is asked for now has to cover.
    ///
    /// Poison comes first: a disk that failed may not even let a segment be opened, and this is why.
    func target() throws(LogError) -> UInt64 {
        try throwIfPoisoned()
        return try visibleEnd()
    }

    /// The position behind the last visible frame.
    ///
    /// Of the tail alone this would be a frame short where a writer died or stands between its commit and its next
    /// step.
    func visibleEnd() throws(LogError) -> UInt64 {
        var position = control.currentSlot().tail
        while true {
            let base = log.geometry.base(of: position)
            guard let segment = try segments.existing(base) else { return position }
            let offset = position - base
            guard log.geometry.fits(offset: offset, size: SegmentGeometry.frameHeaderSize, isEnd: true) else {
                return position
            }
            let word = segment.word(at: offset)
            if word.rawValue == 0 || word.misfit(at: offset, in: log.geometry) != nil { return position }
            position =
                word.kind == .end
                ? base + log.geometry.segmentSize + SegmentGeometry.dataStart : position + word.frameSize
        }
    }

    // MARK: Under the flusher lock

    /// What a flush needs open.
    ///
    /// To lack that is no failed flush: nothing has happened yet, and another process may have more descriptors.
    private struct Opened {
        var segments: [Segment] = []
        /// Of the names, where there is more than one segment.
        var directory: OpenFile?
    }

    private func open(upTo goal: UInt64) throws(LogError) -> Opened {
        var opened = Opened()
        let durable = control.durable.load()
        let (first, last) = (log.geometry.base(of: durable), log.geometry.base(of: goal))
        for base in stride(from: first, through: last, by: Int(log.geometry.segmentSize)) {
            let segment = try segments.segment(base)
            // Of one that is sealed and durable up to its end there is nothing left to flush, nor to keep open: the
            // directory may need its descriptor.
            if base < last, segment.sealedEnd == durable {
                segments.drop(before: base + log.geometry.segmentSize)
                continue
            }
            opened.segments.append(segment)
        }
        if first < last { opened.directory = try log.medium.openDirectory() }
        return opened
    }

    private func flush(to goal: UInt64, giveWay: (() -> Void)? = nil) throws(LogError) {
        guard log.medium.isPersistent else { return control.durable.store(goal) }
        try flush(try open(upTo: goal), to: goal, giveWay: giveWay)
    }

    /// With `giveWay` piece by piece, behind a call of it.
    ///
    /// Each piece is a flush of its own: who dies in between has been told of no failure, and leaves nothing to be repeated.
    private func flush(_ opened: Opened, to goal: UInt64, giveWay: (() -> Void)? = nil) throws(LogError) {
        let durable = control.durable.load()
        control.flushing.store(1)
        do throws(LogError) {
            for segment in opened.segments {
                if let giveWay {
                    try segment.file.writeOut(inPiecesOf: Self.piece) {
                        control.flushing.store(0)
                        giveWay()
                        control.flushing.store(1)
                    }
                }
                try segment.file.flushData()
            }
            try opened.directory?.flush()
        } catch {
            // Before `flushing` is cleared, so that no process can miss it; and never retried: after a failed
            // write-back the cache shows what the disk lacks.
            let number = error.errno?.rawValue ?? EIO
            control.poison.store(UInt32(bitPattern: number))
            control.flushing.store(0)
            throw LogError(
                .poisoned,
                file: error.file,
                position: Position(rawValue: durable),
                found: error.found,
                errno: error.errno,
                advice: "close the log in all processes, mend the disk, then open it again: it recovers"
            )
        }
        do throws(LogError) { try awaitRepair() } catch {
            control.flushing.store(0)
            throw error
        }
        control.durable.store(goal)
        control.flushing.store(0)
        segments.drop(before: log.geometry.base(of: goal))
    }

    /// Returns once no repair flushes beside this flush (`spec/protocol.md`, "Sync", 6).
    ///
    /// Through the same descriptor a failure may have been reported to it, and to this flush no more.
    ///
    /// - Throws: `needsRecovery` when the repair's flush failed, or its thread died in it; `flushStalled` when it is stopped.
    private func awaitRepair() throws(LogError) {
        var patience = FlushPatience(stallTimeout)
        while control.batchWords.load() == 2 {
            try throwIfPoisoned()
            let owner = appendMutex.owner
            // It lets go of the lock behind the mark. Two looks, since the next repair may have begun between them.
            if owner == 0, control.batchWords.load() == 2, appendMutex.owner == 0 {
                throw .deadRepair(log.medium.path)
            }
            try patience.check(owner: owner, durable: control.durable.load())
            usleep(1000)
        }
        try throwIfPoisoned()
    }

    /// A flusher died.
    ///
    /// If it was in the middle of a flush, nobody knows whether write-back failed: so every page of what isn't durable
    /// is made dirty again, is checked to be what was written, and is flushed anew. A failure poisons the log like any
    /// other; but where this process can't open what it takes, nothing has happened yet, and another may.
    private func repeatFlushOfDeadOwner() throws(LogError) {
        guard control.poison.load() == 0 else { return }
        let goal = try visibleEnd()
        let opened = try open(upTo: goal)
        do throws(LogError) {
            for segment in opened.segments {
                let end = min(goal - segment.base, log.geometry.dataEnd)
                try segment.mapping.makeDirty(from: 0, byteCount: Int(end))
                let index = Int(log.geometry.dataEnd)
                try segment.mapping.makeDirty(from: index, byteCount: segment.mapping.byteCount - index)
                try checkFrames(of: segment, from: control.durable.load(), to: goal)
            }
            try flush(opened, to: goal)
        } catch {
            if control.poison.load() == 0 { control.poison.store(UInt32(bitPattern: error.errno?.rawValue ?? EIO)) }
            control.flushing.store(0)
            throw error
        }
    }

    /// What the cache holds must be what was written: a page that was evicted after a failed write-back isn't.
    private func checkFrames(of segment: Segment, from durable: UInt64, to goal: UInt64) throws(LogError) {
        var offset = max(durable, segment.base + SegmentGeometry.dataStart) - segment.base
        // The watermark may stand right behind the `end` frame.
        if let seal = segment.seal, offset > seal.endOffset { return }
        while segment.base + offset < goal {
            switch segment.frame(at: offset) {
            case .frame(let frame) where frame.kind == .end: return
            case .frame(let frame), .unsupported(let frame, _): offset = frame.end
            case .empty:
                throw .damaged(
                    segment.file.path,
                    segment.base + offset,
                    expected: "a committed frame",
                    found: "nothing"
                )
            case .bad(let reason):
                throw .damaged(
                    segment.file.path,
                    segment.base + offset,
                    expected: "a committed frame",
                    found: reason
                )
            }
        }
    }

    /// A repair whose flush failed took the report of it from the descriptor that a flush here would use.
    private func throwIfPoisoned() throws(LogError) {
        if let failure = control.writingFailure(of: log.medium.path) { throw failure }
    }
}
