internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Appends under the one lock that all writers of all processes share (`spec/protocol.md`, "Append").
///
/// Safe from any thread. What an append touches is reached through plain pointers: a stored property of a class
/// would cost an exclusivity check on each access.
@safe final class Appender: Sendable {
    let control: ControlBlock
    let segments: WritableSegments
    let mutex: RobustMutex
    let geometry: SegmentGeometry
    let clock: LogClock
    private let forkGuard: ForkGuard
    private let waiters: Waiters
    /// An append that makes so many bytes not durable has to flush.
    private let flushLimit: UInt64
    private let preparer: BackgroundThread
    private let housekeeper: BackgroundThread
    /// What this process knows of the active segment, under the append lock, and what every append looks at.
    nonisolated(unsafe) let local: UnsafeMutablePointer<mlog_appender>
    /// The active segment itself; only under the append lock.
    nonisolated(unsafe) let active: UnsafeMutablePointer<Segment?>

    /// Far from every position, so that the offset of any tail is out of the segment.
    static let noBase = UInt64(1) << 63

    /// One turn under the lock: the generation, the slot it selects, and what the next is to be.
    @safe struct Turn {
        var generation: UInt64
        var slot: mlog_append_slot
        /// Of the tail in the active segment.
        var offset: UInt64
        /// Of the active segment.
        nonisolated(unsafe) var start: UnsafeMutableRawPointer
        var seed: UInt32
    }

    init(
        control: ControlBlock,
        waiters: Waiters,
        segments: WritableSegments,
        preparer: BackgroundThread,
        housekeeper: BackgroundThread,
        durability: Durability,
        options: OpenOptions
    ) throws(LogError) {
        self.control = control
        self.waiters = waiters
        self.segments = segments
        geometry = segments.log.geometry
        mutex = control.appendMutex(timeout: options.stallTimeout)
        clock = options.clock
        flushLimit =
            switch durability {
            case .never, .interval: .max
            case .bytes(let count): count
            case .everyAppend: 1
            }
        forkGuard = try ForkGuard()
        self.preparer = preparer
        self.housekeeper = housekeeper
        unsafe active = .allocate(capacity: 1)
        unsafe active.initialize(to: nil)
        unsafe local = .allocate(capacity: 1)
        unsafe local.initialize(to: mlog_appender())
        unsafe local.pointee.identity = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        unsafe local.pointee.control = control.control
        unsafe local.pointee.sleepers = UnsafePointer(waiters.address(.committed))
        unsafe local.pointee.fork_guard = forkGuard.word
        unsafe local.pointee.data_end = geometry.dataEnd
        unsafe local.pointee.clock = clock.identifier
        unsafe local.pointee.must_fence = waiters.sleepersFence ? 0 : 1
        unsafe local.pointee.start = UnsafeMutablePointer(bitPattern: 8)
        unsafe local.pointee.base = Self.noBase
    }

    deinit {
        unsafe active.deinitialize(count: 1)
        unsafe active.deallocate()
        unsafe local.deallocate()
    }

    // MARK: One record

    /// Appends one record.
    ///
    /// The bytes are copied into the mapping, once.
    @inline(__always)
    func append(_ payload: UnsafeRawBufferPointer, timestamp: Timestamp?) throws(LogError) -> Appended {
        var slot = mlog_append_slot()
        let rest = unsafe mlog_append_short(
            local,
            payload.baseAddress,
            payload.count,
            timestamp == nil ? 0 : 1,
            timestamp?.nanosecondsSince1970 ?? 0,
            &slot
        )
        if rest < 0 { return try unsafe appendAnyway(payload, timestamp: timestamp) }
        if rest > 0 { finish(rest) }
        let size = FrameWord.frameSize(payload: UInt64(truncatingIfNeeded: payload.count))
        return Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail &+ size)
    }

    /// Appends one record, whatever it takes.
    @inline(never)
    private func appendAnyway(_ payload: UnsafeRawBufferPointer, timestamp: Timestamp?) throws(LogError) -> Appended {
        let size = FrameWord.frameSize(payload: UInt64(truncatingIfNeeded: payload.count))
        guard payload.count <= geometry.largestPayload else { throw tooLarge(payload.count) }
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try begin(room: size)
        let slot = turn.slot
        let time = timestamp?.nanosecondsSince1970 ?? clock.read()
        control.fillNextSlot(turn.generation, slot.adding(records: 1, size: size, smallest: time, largest: time))
        let frame = unsafe turn.start + Int(truncatingIfNeeded: turn.offset)
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: payload.count))
        unsafe write(payload.baseAddress, frame, word, turn, position: slot.tail, timestamp: time)
        index(turn, turn.offset, slot)
        unsafe commit(word, at: frame)
        finish(turn, behind: turn.offset &+ size)
        return Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail &+ size)
    }

    /// Appends one record that the closure writes in place, into at most `capacity` bytes of the mapping.
    func append(
        reserving capacity: Int,
        timestamp: Timestamp?,
        _ fill: (inout OutputRawSpan) throws -> Void
    ) throws(LogError) -> Appended {
        guard capacity >= 0, capacity <= geometry.largestPayload else { throw tooLarge(capacity) }
        let reserved = FrameWord.frameSize(payload: UInt64(capacity))
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try begin(room: reserved)
        let slot = turn.slot
        control.fillNextSlot(turn.generation, slot.adding(records: 1, size: reserved, smallest: .max, largest: .min))
        let frame = unsafe turn.start + Int(turn.offset)
        let place = unsafe UnsafeMutableRawBufferPointer(start: frame + MLOG_FRAME_HEADER_BYTES, count: capacity)
        let used: Int
        do {
            var output = unsafe OutputRawSpan(buffer: place, initializedCount: 0)
            try fill(&output)
            used = unsafe output.finalize(for: place)
        } catch {
            unsafe memset(frame, 0, Int(reserved))
            mutex.unlock()
            throw LogError(
                .fillFailed,
                position: Position(rawValue: slot.tail),
                underlyingError: error,
                advice: "mend what the closure reports and append again"
            )
        }
        let size = FrameWord.frameSize(payload: UInt64(used))
        unsafe memset(frame + MLOG_FRAME_HEADER_BYTES + used, 0, Int(reserved) - MLOG_FRAME_HEADER_BYTES - used)
        let time = timestamp?.nanosecondsSince1970 ?? clock.read()
        control.fillNextSlot(turn.generation, slot.adding(records: 1, size: size, smallest: time, largest: time))
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: used))
        unsafe complete(frame, word, turn, position: slot.tail, timestamp: time)
        index(turn, turn.offset, slot)
        unsafe commit(word, at: frame)
        finish(turn, behind: turn.offset + size)
        return Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail + size)
    }

    /// Appends a mark, unless the log's last frame is one or there is none at all; false: nothing to do.
    func appendMark(ifTailIs tail: UInt64) throws(LogError) -> Bool {
        let size = SegmentGeometry.frameHeaderSize
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try begin(room: size)
        let slot = turn.slot
        guard slot.tail == tail, control.markTail.load() != tail, control.durable.load() == tail else {
            mutex.unlock()
            return false
        }
        control.fillNextSlot(turn.generation, slot.adding(records: 0, size: size, smallest: .max, largest: .min))
        let frame = unsafe turn.start + Int(turn.offset)
        let word = FrameWord(kind: .mark, length: 0)
        unsafe complete(frame, word, turn, position: slot.tail, timestamp: clock.read())
        index(turn, turn.offset, slot)
        control.markTail.store(slot.tail + size)
        unsafe commit(word, at: frame)
        finish(turn, behind: turn.offset + size)
        return true
    }

    // MARK: The steps of an append

    /// Marks this thread as inside this log.
    ///
    /// - Throws: `reentrant` inside an in-place append of any log, `forked` in a forked child, `closed`.
    @inline(__always)
    func enter() throws(LogError) -> UnsafeMutablePointer<mlog_thread_mark> {
        guard let thread = unsafe mlog_thread() else { throw .noThreadMark }
        if unsafe mlog_thread_log(thread) != nil { throw .reentrant }
        try forkGuard.check()
        unsafe mlog_thread_enter(thread, Unmanaged.passUnretained(self).toOpaque())
        if unsafe local.pointee.is_closed == 0 { return unsafe thread }
        unsafe mlog_thread_leave(thread)
        throw .closed
    }

    /// Takes the lock and makes sure that a frame, or a batch, of this size fits at the tail.
    @inline(__always)
    func begin(room: UInt64) throws(LogError) -> Turn {
        switch try mutex.lock() {
        case .clean: break
        case .ownerDied: try takeOverFromDeadOwner()
        }
        let turn = currentTurn()
        // Both terms are at most 2³² + 48 where it fits: nothing wraps that matters.
        if turn.offset <= geometry.dataEnd
            && turn.offset &+ room &+ SegmentGeometry.frameHeaderSize <= geometry.dataEnd
            && control.poison.load() | control.needsRecovery.load() == 0
            && turn.slot.sequence < SegmentGeometry.sequenceLimit
        {
            return turn
        }
        return try makeRoomOrLetGo(turn, room)
    }

    /// What the slot and this process's active segment say; `offset` is nonsense where the tail is in another segment.
    @inline(__always)
    func currentTurn() -> Turn {
        let generation = control.generation.load()
        let slot = control.slot(generation)
        return unsafe Turn(
            generation: generation,
            slot: slot,
            offset: slot.tail &- local.pointee.base,
            start: UnsafeMutableRawPointer(local.pointee.start),
            seed: local.pointee.seed
        )
    }

    /// The slow half of `begin`.
    @inline(never)
    private func makeRoomOrLetGo(_ turn: Turn, _ room: UInt64) throws(LogError) -> Turn {
        var turn = turn
        do throws(LogError) {
            try makeRoom(&turn, room)
        } catch {
            mutex.unlock()
            throw error
        }
        return turn
    }

    /// A whole frame but its word; the padding is 0 as all behind the tail.
    @inline(__always)
    func write(
        _ payload: UnsafeRawPointer?,
        _ frame: UnsafeMutableRawPointer,
        _ word: FrameWord,
        _ turn: Turn,
        position: UInt64,
        timestamp: Int64
    ) {
        unsafe mlog_frame_write(frame, payload, word.rawValue, position, timestamp, lag(position), turn.seed)
    }

    /// Everything of a frame but its word, around a payload that is there already.
    @inline(__always)
    func complete(
        _ frame: UnsafeMutableRawPointer,
        _ word: FrameWord,
        _ turn: Turn,
        position: UInt64,
        timestamp: Int64
    ) {
        unsafe frame.storeBytes(of: lag(position), toByteOffset: 12, as: UInt32.self)
        unsafe frame.storeBytes(of: timestamp, toByteOffset: 16, as: Int64.self)
        let crc = unsafe mlog_frame_crc(frame, Int(word.frameSize), word.rawValue, position, turn.seed)
        unsafe frame.storeBytes(of: crc, toByteOffset: 8, as: UInt32.self)
    }

    /// What a frame at this position states of the durable watermark.
    @inline(__always)
    private func lag(_ position: UInt64) -> UInt32 {
        let lag = (position &- control.durable.load()) >> 3
        return lag < UInt64(UInt32.max) ? UInt32(truncatingIfNeeded: lag) : .max
    }

    /// Writes the index entry if the frame is the first of its block.
    @inline(__always)
    func index(_ turn: Turn, _ offset: UInt64, _ slot: mlog_append_slot) {
        let entry =
            unsafe turn.start
            + Int(
                truncatingIfNeeded: geometry.dataEnd
                    &+ offset / SegmentGeometry.blockSize &* UInt64(MLOG_INDEX_ENTRY_BYTES)
            )
        if unsafe entry.load(as: UInt32.self) == 0 { addIndexEntry(offset, slot) }
    }

    @inline(never)
    private func addIndexEntry(_ offset: UInt64, _ slot: mlog_append_slot) {
        unsafe active.pointee?.store(
            IndexEntry(offset: offset, sequence: slot.sequence, largestTimestampBefore: slot.largest_timestamp)
        )
    }

    /// Makes a frame visible.
    @inline(__always)
    func commit(_ word: FrameWord, at frame: UnsafeMutableRawPointer) {
        unsafe SharedWord<UInt64>(frame).store(word.rawValue)
    }

    /// Moves on to the next slot, lets go of the lock, and wakes who waits.
    @inline(__always)
    func finish(_ turn: Turn, behind offset: UInt64) {
        control.generation.store(turn.generation &+ 1)
        var rest: CInt = 0
        if offset >= (unsafe local.pointee.bell_offset) {
            unsafe local.pointee.bell_offset = .max
            rest |= CInt(MLOG_RING_PREPARER)
        }
        mutex.unlock()
        waiters.wake(.committed)
        if unsafe local.pointee.wants_bell != 0 { rest |= CInt(MLOG_RING_HOUSEKEEPER) }
        if rest != 0 { finish(rest) }
    }

    /// What is left to do behind an append.
    @inline(never)
    private func finish(_ rest: CInt) {
        if rest & CInt(MLOG_WAKE_SLEEPERS) != 0 { waiters.wake(.committed) }
        if rest & CInt(MLOG_RING_PREPARER) != 0 { preparer.ring() }
        if rest & CInt(MLOG_RING_HOUSEKEEPER) != 0 {
            unsafe local.pointee.wants_bell = 0
            housekeeper.ring()
        }
    }

    /// Whether the policy asks for a flush behind an append up to `end`.
    ///
    /// Where it is durable by now the answer may be true; that flush finds nothing to do.
    @inline(__always)
    func mustFlush(upTo end: UInt64) -> Bool {
        flushLimit != .max && end &- control.durable.load() >= flushLimit
    }

    // MARK: With the background threads

    /// From now on the next append rings the bell.
    ///
    /// Returns once every thread's next append sees it.
    func askForBell() {
        unsafe local.pointee.wants_bell = 1
        mlog_fence_all_threads()
    }

    /// Repairs what a dead owner of the lock left, if there is such.
    func settle() throws(LogError) {
        guard case .clean = try mutex.lock() else { return try takeOverAndLetGo() }
        mutex.unlock()
    }

    /// An append behind this offset of a segment rings the bell, so that more is populated.
    func setBell(base: UInt64, offset: UInt64) throws(LogError) {
        guard case .clean = try mutex.lock() else { return try takeOverAndLetGo() }
        if unsafe local.pointee.base == base { unsafe local.pointee.bell_offset = offset }
        mutex.unlock()
    }

    private func takeOverAndLetGo() throws(LogError) {
        try takeOverFromDeadOwner()
        mutex.unlock()
    }

    /// No append begins any more, and none is under way when this returns.
    func closeAndDrain() {
        unsafe local.pointee.is_closed = 1
        mlog_fence_all_threads()
        unsafe mlog_threads_drain(Unmanaged.passUnretained(self).toOpaque())
    }

    func wakeAll() {
        waiters.wake(.committed)
    }

    private func tooLarge(_ byteCount: Int) -> LogError {
        LogError(
            .recordTooLarge,
            file: segments.log.medium.path,
            expected: "0 to \(geometry.largestPayload) bytes",
            found: "\(byteCount) bytes",
            advice: "split the record, or make a log with larger segments"
        )
    }
}

extension mlog_append_slot {
    /// The slot behind an append.
    @inline(__always)
    func adding(records: UInt64, size: UInt64, smallest: Int64, largest: Int64) -> mlog_append_slot {
        mlog_append_slot(
            tail: tail &+ size,
            sequence: sequence &+ records,
            smallest_timestamp: min(smallest_timestamp, smallest),
            largest_timestamp: max(largest_timestamp, largest)
        )
    }
}

extension LogError {
    @inline(never)
    static var reentrant: LogError {
        LogError(.reentrant, advice: "do it after the in-place append has returned")
    }

    @inline(never)
    static var closed: LogError {
        LogError(.closed, advice: "open the log again")
    }

    @inline(never)
    fileprivate static var noThreadMark: LogError {
        LogError(.io, found: "no memory for a thread's mark", advice: "free memory and try again")
    }
}
