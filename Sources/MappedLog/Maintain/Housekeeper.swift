internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// The background thread of a process that may write which flushes what the policy and sealed segments ask for, answers
/// `sync()` in its async form, and leaves a mark when the log falls idle.
final class Housekeeper: Sendable {
    private let control: ControlWords
    private let segments: WritableSegments
    private let appender: Appender
    private let flusher: Flusher
    private let durability: Durability
    private let lock: WriterLock
    private let thread: BackgroundThread
    private let keeper: OldSegmentKeeper?
    private let state = Mutex(State())

    private struct State {
        /// Where the tail has stood, and since when.
        var idle: (tail: UInt64, since: ContinuousClock.Instant)?
        /// Of the segment that held the durable watermark at the last look.
        var durableBase: UInt64?
        /// When this round gives way no more; nil: it hasn't yet.
        var endOfGivingWay: ContinuousClock.Instant?
        var hasEnded = false
        var waitingSyncs: [(target: UInt64, CheckedContinuation<LogError?, Never>)] = []
    }

    private static let idlePause = Duration.seconds(1)
    /// In each round, from when it first did.
    private static let longestGivingWay = Duration.milliseconds(200)
    /// Segments that aren't durable, with the one whose end is, and what they hold.
    private static let mostWaiting: (segments: UInt64, bytes: UInt64) = (32, 2 << 30)
    /// However large: that one, and the one that is flushed.
    private static let fewestWaiting: UInt64 = 2
    private static let pauseMicroseconds: UInt32 = 1000

    init(
        control: ControlWords,
        segments: WritableSegments,
        appender: Appender,
        flusher: Flusher,
        durability: Durability,
        lock: WriterLock,
        thread: BackgroundThread,
        keeper: OldSegmentKeeper?
    ) {
        self.control = control
        self.segments = segments
        self.appender = appender
        self.flusher = flusher
        self.durability = durability
        self.lock = lock
        self.thread = thread
        self.keeper = keeper
    }

    func start() throws(LogError) {
        do throws(LogError) { try keeper?.start() } catch {
            // The log is as good without; whoever opens it next tries again.
        }
        // Writing a sealed segment to the disk takes a processor for milliseconds: not an appender's.
        try thread.start("mlog-housekeep", .batch) { [self] in work() }
    }

    /// Ends the thread, and answers what still waits for a flush.
    func end() {
        keeper?.end()
        thread.end()
        state.withLock { $0.hasEnded = true }
        answerSyncs()
    }

    /// The flush that `sync()` in its async form asks for; nil: done.
    func flush(upTo target: UInt64) async -> LogError? {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waitingSyncs.append((target, continuation)) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume(returning: .closed) } else { thread.ring() }
        }
    }

    // MARK: One round

    /// What fails here isn't lost: the append or sync that needs it meets the same failure, and reports it.
    ///
    /// - Returns: How long until the next; none where it has flushed a sealed segment: there may be more, but each round
    ///   looks at the lock first, and at who waits.
    func work() -> Duration {
        answerSyncs()
        guard appender.writingFailure() == nil else { return Self.idlePause }
        if !lock.isCurrent() {
            // Another writer would find another lock by now, and append over this one's records.
            control.poison.store(UInt32(bitPattern: Errno.staleNFSFileHandle.rawValue))
            return Self.idlePause
        }
        let tail = control.currentSlot().tail
        state.withLock { $0.endOfGivingWay = nil }
        let hasFlushed = (try? flusher.flushSealed(giveWay: giveWay)) == true
        letGo()
        if case .interval(let interval) = durability {
            if control.durable.load() < tail { try? flusher.flush(upTo: tail) }
            if control.durable.load() < control.currentSlot().tail { return interval }
        }
        return hasFlushed ? .zero : rest(tail)
    }

    /// Whether the thread has more to do than to flush sealed segments.
    private var isNeeded: Bool {
        thread.isEnding || state.withLock { !$0.waitingSyncs.isEmpty }
    }

    /// Waits for the segment behind the active one, but not for long: it may be that there is no room for it.
    func giveWay() {
        guard mustGiveWay else { return }
        let end = state.withLock { state in
            let end = state.endOfGivingWay ?? .now + Self.longestGivingWay
            state.endOfGivingWay = end
            return end
        }
        while mustGiveWay, ContinuousClock.now < end { usleep(Self.pauseMicroseconds) }
    }

    /// Whether the segment behind the active one isn't there yet: on a busy disk its own flushes would wait behind what is
    /// written of a sealed one, and appends for them.
    ///
    /// Only where nobody has been promised a flush by now. Nor where many segments wait for theirs: each takes a descriptor,
    /// and what they hold time of a recovery.
    var mustGiveWay: Bool {
        guard durability == .never, !isNeeded, !flusher.isAwaited else { return false }
        let geometry = segments.log.geometry
        let active = geometry.base(of: control.currentSlot().tail)
        let waiting = (active - min(active, geometry.base(of: control.durable.load()))) / geometry.segmentSize
        guard waiting <= Self.mostWaiting(ofBytes: geometry.segmentSize) else { return false }
        // What fails here the preparer meets too, and the roll reports: then there is nothing to wait for.
        do throws(LogError) { return try segments.existing(active + geometry.segmentSize) == nil } catch {
            return false
        }
    }

    /// How many segments of that size may wait for their flush before it gives way to nothing.
    static func mostWaiting(ofBytes segmentSize: UInt64) -> UInt64 {
        max(fewestWaiting, min(mostWaiting.segments, mostWaiting.bytes / segmentSize))
    }

    /// What lies before the segment with the durable watermark needs no mapping here, and may be removed.
    private func letGo() {
        let base = segments.log.geometry.base(of: control.durable.load())
        let hasMoved = state.withLock { state in
            defer { state.durableBase = base }
            return state.durableBase != base
        }
        guard hasMoved else { return }
        segments.drop(before: base)
        keeper?.ring()
    }

    /// Nothing to do until the next append.
    ///
    /// After a second of rest a mark is due, so that the last acknowledgement too stands in a frame.
    private func rest(_ tail: UInt64) -> Duration {
        if case .interval(let interval) = durability {
            // Only here an append has to be followed by something within a bound.
            appender.askForBell()
            if control.currentSlot().tail != tail { return interval }
        }
        let isIdle = state.withLock { state in
            if let idle = state.idle, idle.tail == tail { return .now - idle.since >= Self.idlePause }
            state.idle = (tail, .now)
            return false
        }
        if isIdle { _ = try? mark() }
        return Self.idlePause
    }

    /// Appends a mark behind a log that is all durable, and makes it durable too; false: there was no need.
    func mark() throws(LogError) -> Bool {
        let tail = control.currentSlot().tail
        // It says what is durable, where something can be.
        guard segments.log.medium.isPersistent, control.durable.load() == tail, control.markTail.load() != tail,
            tail % segments.log.geometry.segmentSize != SegmentGeometry.dataStart,
            try appender.appendMark(ifTailIs: tail)
        else { return false }
        try flusher.flush(upTo: tail + SegmentGeometry.frameHeaderSize)
        return true
    }

    private func answerSyncs() {
        let waiting = state.withLock { state in
            defer { state.waitingSyncs = [] }
            return state.waitingSyncs
        }
        guard let target = waiting.map(\.target).max() else { return }
        var failure: LogError?
        do throws(LogError) { try flusher.flush(upTo: target) } catch { failure = error }
        for (_, continuation) in waiting { continuation.resume(returning: failure) }
    }
}
