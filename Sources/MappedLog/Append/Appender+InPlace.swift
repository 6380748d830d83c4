internal import Glibc
internal import _CMappedLog

extension Appender {
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
        let turn = try unsafe begin(room: reserved, records: 1, thread)
        // The closure may take whatever locks it likes.
        unsafe mutex.keep(thread)
        let slot = turn.slot
        control.fillNextSlot(
            turn.generation,
            slot.adding(records: 1, size: reserved, smallest: .max, largest: .min)
        )
        let frame = unsafe frame(turn.offset)
        let place = unsafe UnsafeMutableRawBufferPointer(start: frame + MLOG_FRAME_HEADER_BYTES, count: capacity)
        let used: Int
        do {
            var output = unsafe OutputRawSpan(buffer: place, initializedCount: 0)
            try fill(&output)
            used = unsafe output.finalize(for: place)
        } catch {
            unsafe memset(frame, 0, Int(reserved))
            unsafe mutex.unlock(thread)
            throw LogError(
                .fillFailed,
                position: Position(rawValue: slot.tail),
                underlyingError: error,
                advice: "mend what the closure reports and append again"
            )
        }
        let size = FrameWord.frameSize(payload: UInt64(used))
        unsafe memset(frame + MLOG_FRAME_HEADER_BYTES + used, 0, Int(reserved) - MLOG_FRAME_HEADER_BYTES - used)
        let time = timestamp?.nanosecondsSince1970 ?? mlog_clock_read(clock)
        control.fillNextSlot(turn.generation, slot.adding(records: 1, size: size, smallest: time, largest: time))
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: used))
        unsafe complete(frame, word, turn, position: slot.tail, timestamp: time)
        index(turn.offset, slot)
        unsafe commit(word, at: frame)
        finish(turn)
        return Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail + size)
    }

    /// Appends a mark, unless the log's last frame is one or there is none at all; false: nothing to do.
    func appendMark(ifTailIs tail: UInt64) throws(LogError) -> Bool {
        let size = SegmentGeometry.frameHeaderSize
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try unsafe begin(room: size, records: 0, thread)
        let slot = turn.slot
        guard slot.tail == tail, control.markTail.load() != tail, control.durable.load() == tail else {
            unsafe mutex.unlock(thread)
            return false
        }
        control.fillNextSlot(turn.generation, slot.adding(records: 0, size: size, smallest: .max, largest: .min))
        let frame = unsafe frame(turn.offset)
        let word = FrameWord(kind: .mark, length: 0)
        unsafe complete(frame, word, turn, position: slot.tail, timestamp: mlog_clock_read(clock))
        index(turn.offset, slot)
        control.markTail.store(slot.tail + size)
        unsafe commit(word, at: frame)
        finish(turn)
        return true
    }
}
