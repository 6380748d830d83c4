internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// A log open for writing in this process: who is a writer, recovery, and the parts that append, flush and prepare.
final class Writer: Sendable {
    let control: ControlBlock
    let waiters: Waiters
    let system: SystemIdentity
    let appender: Appender
    /// What the open found, where this process was the first writer.
    let recovery: RecoveryReport?
    private let place: LogPlace
    private let lock: WriterLock
    let flusher: Flusher
    let housekeeper: Housekeeper
    private let preparer: Preparer
    private let populator: Populator
    private let durability: Durability
    private let recoveryTimeout: Duration
    private let isClosed = Mutex(false)

    /// Opens for writing (`spec/protocol.md`, "Who is a writer").
    init(_ place: LogPlace, _ options: OpenOptions) throws(LogError) {
        let system = try SystemIdentity.current()
        // Who wrote with the default instead could break a promise.
        let settings = try place.medium.readSettings()
        if let fault = settings.fault { throw fault }
        try place.medium.makeDirectories()
        let lock = try Self.lockGate(place, options.recoveryTimeout)
        defer { lock.unlockGate() }
        guard let controlFile = try place.medium.openControl(writable: true),
            let waitersFile = try place.medium.openWaiters()
        else { throw LogError.system(.permissionDenied, "open(2)", file: place.medium.path) }
        let control = try ControlBlock(controlFile, writable: true)
        let waiters = try Waiters(waitersFile, asWriter: true)
        if try lock.tryBecomeOnlyWriter() {
            recovery = try Self.becomeFirstWriter(place, control, system)
            try lock.shareWriterLock()
            waiters.wake(.committed)
        } else {
            try lock.shareWriterLock()
            try control.checkCompatibility(with: system)
            try control.checkReady(path: place.medium.path)
            recovery = nil
        }
        // In memory there is nothing to flush, but for the watermark that old segments are let go by.
        let durability = place.medium.isPersistent ? options.durability ?? settings.durability : .never
        let segments = WritableSegments(place, durability)
        let preparing = BackgroundThread()
        let populating = BackgroundThread()
        let housekeeping = BackgroundThread()
        appender = try Appender(
            control: control,
            waiters: waiters,
            segments: segments,
            populator: populating,
            housekeeper: housekeeping,
            durability: durability,
            options: options
        )
        if let failure = appender.writingFailure() { throw failure }
        flusher = Flusher(control: control, waiters: waiters, segments: segments, options: options)
        housekeeper = Housekeeper(
            control: control.words,
            segments: segments,
            appender: appender,
            flusher: flusher,
            durability: durability,
            lock: lock,
            thread: housekeeping,
            keeper: OldSegmentKeeper(place, settings)
        )
        preparer = Preparer(
            control: control.words,
            segments: segments,
            appender: appender,
            thread: preparing,
            populator: populating,
            housekeeper: housekeeping
        )
        populator = Populator(
            control: control.words,
            segments: segments,
            appender: appender,
            durability: durability,
            thread: populating,
            preparer: preparing
        )
        self.control = control
        self.waiters = waiters
        self.system = system
        self.place = place
        self.lock = lock
        self.durability = durability
        recoveryTimeout = options.recoveryTimeout
        // The descriptor of the active segment, before the first append.
        _ = try segments.segment(place.geometry.base(of: control.words.currentSlot().tail))
        do throws(LogError) {
            try housekeeper.start()
            try preparer.start()
            try populator.start()
        } catch {
            endThreads()
            throw error
        }
    }

    /// Those that have begun.
    private func endThreads() {
        populator.end()
        preparer.end()
        housekeeper.end()
    }

    /// The gate, on the file that still has the lock's name.
    static func lockGate(_ place: LogPlace, _ timeout: Duration) throws(LogError) -> WriterLock {
        while true {
            let lock = try place.medium.openLock()
            try lock.lockGate(timeout: timeout)
            if lock.isCurrent() { return lock }
        }
    }

    /// Recovers, or believes the clean-close note.
    ///
    /// Only with the exclusive writer lock, inside the gate.
    static func becomeFirstWriter(
        _ place: LogPlace,
        _ control: ControlBlock,
        _ system: SystemIdentity
    ) throws(LogError) -> RecoveryReport {
        let isSameLife = control.namesItself(place.id)
        // In memory the cache is all there is.
        let mistrustsCache = isSameLife && place.medium.isPersistent && control.words.mistrustsCache
        let closed = isSameLife && !control.words.mistrustsCache ? control.cleanClose : nil
        let report: RecoveryReport
        let slot: mlog_append_slot
        var endsWithMark = false
        var lostCount: UInt64 = 0
        if let closed, try place.confirms(closed.slot) {
            slot = closed.slot
            lostCount = closed.lostCount
            endsWithMark = true
            report = RecoveryReport(closed: closed.slot)
        } else {
            var recovery = Recovery(place)
            // Who dies in a flush of recovery's own may have seen it fail: the next one has to know.
            try recovery.run(mistrustsCache: mistrustsCache) { control.beginRecovery(on: system, for: place.id) }
            slot = recovery.slot
            endsWithMark = recovery.endsWithMark
            lostCount = recovery.lostCount
            report = recovery.report
        }
        try control.beginLife(on: system, for: place.id, segmentSize: place.geometry.segmentSize, slot: slot)
        control.words.markTail.store(endsWithMark ? slot.tail : 0)
        control.words.lostPosition.store(place.geometry.base(of: slot.tail) + SegmentGeometry.dataStart)
        control.words.lostCount.store(lostCount)
        // The note is gone from the disk before the first append could follow it.
        try control.file.flushData()
        control.words.state.store(UInt32(MLOG_STATE_READY))
        return report
    }

    // MARK: Durability

    /// What the policy asks of an append that has just committed.
    @inline(__always)
    func applyDurability(upTo end: UInt64) throws(LogError) {
        if unsafe appender.local.mustFlush(upTo: end) { try flusher.flush(upTo: end) }
    }

    func sync() throws(LogError) {
        guard place.medium.isPersistent else { return try syncInMemory() }
        let thread = try unsafe appender.enter()
        defer { unsafe mlog_thread_leave(thread) }
        try flusher.flush(upTo: try flusher.target())
    }

    func sync() async throws(LogError) {
        guard place.medium.isPersistent else { return try syncInMemory() }
        let target = try syncTarget()
        if let failure = await housekeeper.flush(upTo: target) { throw failure }
    }

    /// There is nothing to flush: all that may be said is why nothing more can be written.
    private func syncInMemory() throws(LogError) {
        let thread = try unsafe appender.enter()
        defer { unsafe mlog_thread_leave(thread) }
        if let failure = appender.writingFailure() { throw failure }
    }

    private func syncTarget() throws(LogError) -> UInt64 {
        let thread = try unsafe appender.enter()
        defer { unsafe mlog_thread_leave(thread) }
        return try flusher.target()
    }

    // MARK: Close

    /// Drains, flushes, and, as the last writer, leaves the clean-close note.
    func close() throws(LogError) {
        if let thread = unsafe mlog_thread(), unsafe mlog_thread_log(thread) != nil { throw .reentrant }
        // A forked child has none of this: the mappings and the lock are the parent's.
        if ForkGuard.isForkedChild { return }
        let wasClosed = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        if wasClosed { return }
        endThreads()
        defer {
            appender.closeAndDrain()
            lock.dropWriterLock()
        }
        try flusher.flush(upTo: try flusher.target())
        _ = try housekeeper.mark()
        try lock.lockGate(timeout: recoveryTimeout)
        defer { lock.unlockGate() }
        appender.closeAndDrain()
        guard try lock.tryBecomeOnlyWriter() else { return }
        // Another writer may have died in an append or a flush, with nobody to notice since.
        try appender.settle()
        // The note says too that there is nothing behind the tail. An append that was taken back may have left something
        // on the disk, where its zeros have yet to come.
        try flusher.flushEverything()
        let slot = control.words.currentSlot()
        guard appender.writingFailure() == nil, control.words.flushing.load() == 0,
            slot.tail == control.words.durable.load()
        else { return }
        let first = place.geometry.base(of: slot.tail) + SegmentGeometry.dataStart
        let lost = control.words.lostPosition.load() == first ? control.words.lostCount.load() : 0
        // Where the note has no room for them, the next open is to count them again.
        if let lost = UInt32(exactly: lost) { try control.writeCleanClose(slot, lostCount: lost) }
    }
}

extension RecoveryReport {
    init(closed: mlog_append_slot) {
        cleanClose = true
        durablePosition = closed.tail
        endPosition = closed.tail
        nextSequence = closed.sequence
    }
}

extension LogPlace {
    /// Whether the log looks like what a clean-close note says: a note that was copied back over a log doesn't.
    func confirms(_ closed: mlog_append_slot) throws(LogError) -> Bool {
        let base = geometry.base(of: closed.tail)
        let bases = try bases()
        guard geometry.isFrameStart(closed.tail), bases.contains(base) else { return false }
        let scanner = try scanner(base)
        guard let line = try scanner.activation(), line.baseSequence <= closed.sequence,
            closed.sequence <= SegmentGeometry.sequenceLimit
        else { return false }
        guard case .empty = try scanner.frame(at: closed.tail - base) else { return false }
        try checkMayWrite(bases)
        return true
    }
}
