internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// What all tailers of an open log share: where segments are, what is known durable, where the log ends.
///
/// Takes no lock that a writer could wait for. Safe from any thread.
final class LogReader: Sendable {
    let log: LogPlace
    let forkGuard: ForkGuard
    /// Nil: this process may not set the flag, and polls.
    let waiters: Waiters?
    let sleeper: AsyncSleeper
    private let system: SystemIdentity
    /// The control block, where there was one at the start: looked at without a lock.
    private let firstControl: ControlBlock?
    /// Whether the control block was found to be of this boot and this log; that never changes back.
    private let isOurs = Atomic<Bool>(false)
    /// When it was last looked whether the log is still at its path.
    private let lastLook = Atomic<Int64>(mlog_clock_read(CLOCK_MONOTONIC))
    private let state: Mutex<State>

    private struct State {
        var control: ControlBlock?
        /// Of a log that nobody has recovered since it was last written; until `epoch` changes.
        var survey: (epoch: UInt64?, LogSurvey)?
        /// Where the end was found last; until `epoch` changes.
        var active: (epoch: UInt64?, segment: Segment)?
        /// Never taken backwards.
        var durable: UInt64 = 0
        var listing = Listing()
    }

    /// What seeks have found out of the segments before the last one; until `epoch` changes.
    private struct Listing {
        var epoch: UInt64?
        var bases: [UInt64] = []
        /// Of segments that have an activated successor: those are never written again.
        var lines: [UInt64: ActivationLine] = [:]
        /// Before this all segments have one.
        var active: UInt64 = 0
    }

    struct End {
        let position: UInt64
        let sequence: UInt64
    }

    init(
        _ log: LogPlace,
        control: ControlBlock?,
        waiters: Waiters?,
        system: SystemIdentity,
        forkGuard: ForkGuard
    ) {
        self.log = log
        self.waiters = waiters
        self.system = system
        self.forkGuard = forkGuard
        sleeper = AsyncSleeper(waiters: waiters)
        firstControl = control
        state = Mutex(State(control: control))
    }

    // MARK: The running system

    /// The control block, once there is one.
    var control: ControlBlock? {
        if let firstControl { return firstControl }
        if let control = state.withLock({ $0.control }) { return control }
        guard let file = try? log.medium.openControl(writable: false),
            let control = try? ControlBlock(file, writable: false)
        else { return nil }
        return state.withLock { state in
            if state.control == nil { state.control = control }
            return state.control
        }
    }

    /// The control block, if it speaks of this log as it is now: a process of this boot has recovered it.
    private var liveControl: ControlBlock? {
        guard let control else { return nil }
        if isOurs.load(ordering: .relaxed) { return control.isReady ? control : nil }
        guard control.isReady(on: system, for: log.id) else { return nil }
        isOurs.store(true, ordering: .relaxed)
        return control
    }

    /// For who has waited in vain: looks, once a second, whether `live/control` is still the one that was opened.
    ///
    /// Where it isn't, the log was removed, or another one made in its place: here nothing would ever come again.
    ///
    /// - Throws: `moved`.
    func checkStillThere() throws(LogError) {
        let now = mlog_clock_read(CLOCK_MONOTONIC)
        guard now - lastLook.load(ordering: .relaxed) >= 1_000_000_000 else { return }
        guard let control, !control.file.isCurrent() else { return lastLook.store(now, ordering: .relaxed) }
        throw LogError(
            .moved,
            file: log.medium.path,
            expected: "the log that was opened",
            found: "another one, or none",
            advice: "open the log where it is now"
        )
    }

    var epoch: UInt64? { control?.words.epoch.load() }

    /// The position before which everything is known to be on the disk.
    ///
    /// - Throws: what a survey of a log that nobody has recovered throws.
    func knownDurable() throws(LogError) -> UInt64 {
        let found: UInt64
        if let control = liveControl {
            // In memory all that is committed is as durable as it gets.
            found = log.medium.isPersistent ? control.words.durable.load() : control.words.currentSlot().tail
        } else if let closed = cleanClose {
            found = closed.tail
        } else {
            found = try survey().durable
        }
        return state.withLock { state in
            state.durable = max(state.durable, found)
            return state.durable
        }
    }

    /// The end of what is visible.
    ///
    /// Complexity: O(1) of a live or cleanly closed log; else one recovery's reading.
    func end() throws(LogError) -> End {
        if let control = liveControl { return try visibleEnd(control) }
        if let closed = cleanClose { return End(position: closed.tail, sequence: closed.sequence) }
        let survey = try survey()
        return End(position: survey.end, sequence: survey.nextSequence)
    }

    private var cleanClose: mlog_append_slot? {
        guard let control, control.namesItself(log.id), let closed = control.cleanClose?.slot,
            log.geometry.isFrameStart(closed.tail)
        else { return nil }
        return closed
    }

    private func survey() throws(LogError) -> LogSurvey {
        let epoch = epoch
        if let kept = state.withLock({ $0.survey }), kept.epoch == epoch { return kept.1 }
        let survey = try LogSurvey(of: log)
        state.withLock { $0.survey = (epoch, survey) }
        return survey
    }

    /// Of the slot alone this would be a record short where a writer stands between its commit and its next step.
    ///
    /// No more than one append is ever committed beyond the slot that is current: behind it the walk ends, for it might
    /// never catch up with a writer.
    private func visibleEnd(_ control: ControlBlock) throws(LogError) -> End {
        let slot = control.words.currentSlot()
        // A tailer loads words from there on, and a word that isn't aligned may reach out of the segment.
        guard log.geometry.isFrameStart(slot.tail) else {
            throw LogError(
                .damaged,
                file: control.file.path,
                position: Position(rawValue: slot.tail),
                expected: "a tail where a frame may start",
                found: "\(slot.tail)",
                advice: "close the log in all processes, then open it for writing: that makes the file anew"
            )
        }
        var (position, sequence) = (slot.tail, slot.sequence)
        var next = try activeSegment(log.geometry.base(of: position))
        while let segment = next {
            switch segment.frame(at: position - segment.base) {
            case .frame(let frame) where frame.kind == .end:
                let base = segment.base + log.geometry.segmentSize
                position = base + SegmentGeometry.dataStart
                next = try activeSegment(base)
            case .frame(let frame):
                position += frame.size
                if frame.kind == .record { sequence &+= 1 }
                let isInBatch = frame.word.flags & (FrameWord.Batch.first | FrameWord.Batch.inner) != 0
                if !isInBatch { return End(position: position, sequence: sequence) }
            case .empty, .bad, .unsupported:
                return End(position: position, sequence: sequence)
            }
        }
        return End(position: position, sequence: sequence)
    }

    /// The segment with the end of the log, mapped once for all who ask where that is.
    private func activeSegment(_ base: UInt64) throws(LogError) -> Segment? {
        let now = epoch
        if let kept = state.withLock({ $0.active }), kept.epoch == now, kept.segment.base == base {
            return kept.segment
        }
        guard let segment = try segment(base) else { return nil }
        if !segment.isCompacted { state.withLock { $0.active = (now, segment) } }
        return segment
    }

    // MARK: Segments

    /// Maps a segment for reading, in the form that counts; nil when there is none of that base.
    func segment(_ base: UInt64) throws(LogError) -> Segment? {
        switch try log.medium.openForReading(base) {
        case .raw(let file): return try Segment(file, base: base, of: log.identity, writable: false)
        case .compacted(let file): return try Segment(CompactedFile(file, base: base, of: log.identity))
        case nil: return nil
        }
    }

    /// The bases of the segments from the first to the one that holds `end`, as they were listed last.
    ///
    /// Some may have been removed since: who finds one gone calls ``forgetListing()`` and asks again.
    func bases(upTo end: UInt64) throws(LogError) -> ArraySlice<UInt64> {
        let active = log.geometry.base(of: end)
        let now = epoch
        func known(_ state: inout State) -> ArraySlice<UInt64>? {
            if state.listing.epoch != now { state.listing = Listing(epoch: now) }
            guard let last = state.listing.bases.last, last >= active else { return nil }
            state.listing.active = max(state.listing.active, active)
            // One prepared segment may stand behind it.
            guard let found = state.listing.bases.lastIndex(where: { $0 <= active }) else { return nil }
            return state.listing.bases[...found]
        }
        if let known = state.withLock({ known(&$0) }) { return known }
        let bases = try log.bases()
        let listed = state.withLock { state in
            state.listing.bases = bases
            return known(&state)
        }
        // Of a log in memory even that segment may be dropped by now.
        guard let listed else { throw log.missing(active, durable: nil) }
        return listed
    }

    func forgetListing() {
        state.withLock { $0.listing = Listing() }
    }

    /// The activation line of a segment that ``bases(upTo:)`` named.
    func activation(_ base: UInt64) throws(LogError) -> ActivationLine {
        if let line = state.withLock({ $0.listing.lines[base] }) { return line }
        guard let line = try log.activation(base) else { throw log.badActivation(base) }
        state.withLock { if base < $0.listing.active { $0.listing.lines[base] = line } }
        return line
    }

    /// Why a segment that should be there isn't.
    func absence(of base: UInt64, sequence: UInt64) -> LogError {
        var first: UInt64?
        while true {
            let names = (try? log.medium.listSegments()) ?? []
            for case .unsupported(base, let name) in names {
                return log.unsupportedForm(base, name)
            }
            guard let found = names.first?.base, found > base, found != first else { break }
            if let line = try? segment(found)?.activation {
                if line.baseSequence < sequence { break }
                return .gone(sequence..<line.baseSequence, position: found + SegmentGeometry.dataStart)
            }
            // Retention goes on, and has removed the first that was left: look at the next one.
            first = found
        }
        return log.missing(base, durable: state.withLock { $0.durable })
    }
}

extension LogError {
    static func gone(_ sequences: Range<UInt64>, position: UInt64) -> LogError {
        LogError(
            .recordsGone,
            position: Position(rawValue: position),
            goneSequences: sequences,
            advice: "read on: the next record is the first that is left"
        )
    }
}
