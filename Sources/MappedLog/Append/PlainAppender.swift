internal import _CMappedLog

/// Appends one record where nothing stands in its way.
///
/// The lock is free, the active segment has room, and there is nothing to mend or to say first. All else it leaves to the
/// ``Appender``, having changed nothing.
///
/// This is the hot path, and no more than the address of what it looks at. What it costs is instructions (`spec/tuning.md`),
/// and a value that the compiler has to keep on the stack costs two. So short records are copied in line, and others by a
/// call; and where a record stands is loaded from the slots again behind the copy: both stay as they are until the lock is
/// let go of.
@safe struct PlainAppender: Sendable {
    private nonisolated(unsafe) let local: UnsafeMutablePointer<Appender.Local>

    /// The caller keeps the writer alive for as long as this is used: to retain two objects and let them go again was a
    /// fifth of an append's time.
    init(_ writer: Writer) {
        unsafe local = writer.appender.local
        unsafe local.pointee.writer = .passUnretained(writer)
    }

    /// Appends one record, and flushes if the policy says so.
    ///
    /// The bytes are copied into the mapping, once.
    @inline(__always)
    func append(
        _ payload: UnsafeRawPointer?,
        _ byteCount: Int,
        _ timestamp: Timestamp?
    ) throws(LogError) -> Appended {
        let count = UInt64(truncatingIfNeeded: byteCount)
        return unsafe count < local.pointee.shortestLong
            ? try append(payload, count, timestamp, isShort: true)
            : try appendLong(payload, count, timestamp)
    }

    @inline(never)
    private func appendLong(
        _ payload: UnsafeRawPointer?,
        _ count: UInt64,
        _ timestamp: Timestamp?
    ) throws(LogError) -> Appended {
        try unsafe append(payload, count, timestamp, isShort: false)
    }

    /// The steps of `spec/protocol.md`, "Append", and "The lock".
    @inline(__always)
    private func append(
        _ payload: UnsafeRawPointer?,
        _ count: UInt64,
        _ timestamp: Timestamp?,
        isShort: Bool
    ) throws(LogError) -> Appended {
        // Outside the lock: it is a tenth of an append.
        let time = unsafe timestamp?.nanosecondsSince1970 ?? mlog_clock_read(local.pointee.clock)
        guard let thread = unsafe mlog_thread(), unsafe mlog_thread_log(thread) == nil else {
            return try unsafe appendAttentively(payload, count, time)
        }
        unsafe mlog_thread_enter(thread, local)
        let control = unsafe local.pointee.control
        // In a forked child, the thread's mark is 0, and the lock is never free.
        guard unsafe local.entry.relaxedLoad() == 0,
            unsafe mlog_lock_if_free(control.appendMutexAddress, thread) != 0
        else {
            unsafe mlog_thread_leave(thread)
            return try unsafe appendAttentively(payload, count, time)
        }
        let generation = control.generation.relaxedLoad()
        let position = control.slotWords(generation).tail.relaxedLoad()
        let offset = unsafe position &- local.pointee.base
        let size = FrameWord.frameSize(payload: count)
        guard unsafe local.isPlain(offset, room: size) else {
            unsafe mlog_unlock_brief(control.appendMutexAddress, thread)
            unsafe mlog_thread_leave(thread)
            return try unsafe appendAttentively(payload, count, time)
        }
        let slot = control.slot(generation)
        control.fillNextSlot(generation, slot.adding(records: 1, size: size, smallest: time, largest: time))
        unsafe write(payload, count, time, position, to: local.pointee.start + Int(truncatingIfNeeded: offset), isShort)
        let words = control.slotWords(generation)
        let appended = Appended(
            sequence: words.sequence.relaxedLoad(),
            position: words.tail.relaxedLoad(),
            end: words.other.tail.relaxedLoad()
        )
        unsafe finish(thread)
        if unsafe local.mustFlush(upTo: appended.end.rawValue) { try flush(upTo: appended.end.rawValue) }
        return appended
    }

    /// A whole frame, its word last; the padding is 0 as all behind the tail.
    @inline(__always)
    private func write(
        _ payload: UnsafeRawPointer?,
        _ count: UInt64,
        _ time: Int64,
        _ position: UInt64,
        to frame: UnsafeMutableRawPointer,
        _ isShort: Bool
    ) {
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: count)).rawValue
        let lag = unsafe mlog_frame_lag(position &- local.pointee.control.durable.load())
        let seed = unsafe local.pointee.seed
        if isShort {
            unsafe mlog_frame_write_short(frame, payload, Int(count), word, position, time, lag, seed)
        } else {
            unsafe mlog_frame_write_long(frame, payload, word, position, time, lag, seed)
        }
        unsafe SharedWord<UInt64>(frame).store(word)
    }

    /// Moves on to the next slot, lets go of the lock, and wakes who waits.
    @inline(__always)
    private func finish(_ thread: UnsafeMutablePointer<mlog_thread_mark>) {
        let control = unsafe local.pointee.control
        control.generation.store(control.generation.relaxedLoad() &+ 1)
        unsafe mlog_unlock_brief(control.appendMutexAddress, thread)
        unsafe Waiters.wake(local.pointee.committed)
        if unsafe local.wantsBell.relaxedLoad() != 0 { ringHousekeeper() }
        unsafe mlog_thread_leave(thread)
    }

    // MARK: What is left to others

    @inline(never)
    private func appendAttentively(
        _ payload: UnsafeRawPointer?,
        _ count: UInt64,
        _ time: Int64
    ) throws(LogError) -> Appended {
        try use { writer throws(LogError) in
            let appended = try unsafe writer.appender.append(payload, count, time)
            try writer.applyDurability(upTo: appended.end.rawValue)
            return appended
        }
    }

    @inline(never)
    private func flush(upTo end: UInt64) throws(LogError) {
        try use { writer throws(LogError) in try writer.applyDurability(upTo: end) }
    }

    @inline(never)
    private func ringHousekeeper() {
        unsafe local.pointee.writer?._withUnsafeGuaranteedRef { $0.appender.ringHousekeeper() }
    }

    private func use<Outcome>(_ body: (Writer) throws(LogError) -> Outcome) throws(LogError) -> Outcome {
        guard let writer = unsafe local.pointee.writer?.takeUnretainedValue() else { preconditionFailure("no writer") }
        return try body(writer)
    }
}
