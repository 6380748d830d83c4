internal import SystemPackage
internal import Synchronization
internal import _CMappedLog

/// The background thread of a process that may write: prepares and populates ahead of the tail, flushes what the
/// policy and sealed segments ask for, and leaves a mark when the log falls idle. It never stores into a published
/// segment but through an append.
final class Housekeeper: Sendable {
    private let control: ControlBlock
    private let segments: WritableSegments
    private let appender: Appender
    private let flusher: Flusher
    private let durability: Durability
    private let thread: BackgroundThread
    private let state = Mutex(State())

    private struct State {
        /// How far this process has populated the active segment: base and offset.
        var populatedBase = UInt64.max
        var populatedEnd: UInt64 = 0
        var idleTail: UInt64?
        var hasEnded = false
        var waitingSyncs: [(target: UInt64, CheckedContinuation<LogError?, Never>)] = []
    }

    /// How far ahead of the tail pages are populated, in bytes.
    static let window: UInt64 = 4 << 20
    private static let idlePause = Duration.seconds(1)

    init(
        control: ControlBlock, segments: WritableSegments, appender: Appender, flusher: Flusher,
        durability: Durability, thread: BackgroundThread
    ) {
        self.control = control
        self.segments = segments
        self.appender = appender
        self.flusher = flusher
        self.durability = durability
        self.thread = thread
    }

    func start() throws(LogError) {
        try thread.start { [self] in work() }
    }

    /// Ends the thread, and answers what still waits for a flush.
    func end() {
        thread.end()
        state.withLock { $0.hasEnded = true }
        answerSyncs()
    }

    /// The flush that `sync()` in its async form asks for; nil: done.
    func flush(upTo target: UInt64) async -> LogError? {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                state.waitingSyncs.append((target, continuation))
                return state.hasEnded
            }
            // A close is under way, and nobody else would answer any more.
            if hasEnded { answerSyncs() } else { thread.ring() }
        }
    }

    // MARK: One round

    /// What fails here isn't lost: the append or sync that needs it meets the same failure, and reports it.
    private func work() -> Duration {
        answerSyncs()
        guard appender.writingFailure() == nil else { return Self.idlePause }
        let tail = control.currentSlot().tail
        try? prepare(tail)
        try? flusher.flushSealed()
        if case .interval(let interval) = durability {
            if control.durable.load() < tail { try? flusher.flush(upTo: tail) }
            if control.durable.load() < control.currentSlot().tail { return interval }
        }
        return rest(tail)
    }

    /// The next segment, and the pages ahead of the tail, so that no append has to fault.
    private func prepare(_ tail: UInt64) throws(LogError) {
        let geometry = segments.log.geometry
        let base = geometry.base(of: tail)
        _ = try segments.prepared(base + geometry.segmentSize)
        // A page populated for writing is dirty: where every append is flushed, the flush would write it.
        if durability == .everyAppend { return try appender.setBell(base: base, offset: .max) }
        let segment = try segments.segment(base)
        let offset = tail - base
        let from = state.withLock { state -> UInt64 in
            if state.populatedBase != base { (state.populatedBase, state.populatedEnd) = (base, offset) }
            return max(state.populatedEnd, offset)
        }
        let end = min(offset + Self.window, geometry.dataEnd)
        if end > from { segment.mapping.populateForWriting(from: Int(from), byteCount: Int(end - from)) }
        state.withLock { $0.populatedEnd = max(from, end) }
        if end == geometry.dataEnd {
            let next = try segments.segment(base + geometry.segmentSize)
            next.mapping.populateForWriting(from: 0, byteCount: Int(min(Self.window, geometry.dataEnd)))
        }
        try appender.setBell(base: base, offset: end == geometry.dataEnd ? .max : end - Self.window / 2)
    }

    /// Nothing to do until the next append. After a second of rest a mark is due, so that the last
    /// acknowledgement too stands in a frame.
    private func rest(_ tail: UInt64) -> Duration {
        if case .interval(let interval) = durability {
            // Only here an append has to be followed by something within a bound.
            appender.askForBell()
            if control.currentSlot().tail != tail { return interval }
        }
        let wasIdle = state.withLock { state in
            defer { state.idleTail = tail }
            return state.idleTail == tail
        }
        if wasIdle { _ = try? mark() }
        return Self.idlePause
    }

    /// Appends a mark behind a log that is all durable, and makes it durable too; false: there was no need.
    func mark() throws(LogError) -> Bool {
        let tail = control.currentSlot().tail
        guard control.durable.load() == tail, control.markTail.load() != tail,
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
