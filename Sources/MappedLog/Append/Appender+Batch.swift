internal import _CMappedLog

extension Appender {
    /// Appends all records or none: all become visible at once.
    func append(_ batch: borrowing BatchPayloads, timestamp: Timestamp?) throws(LogError) -> AppendedBatch {
        let count = batch.words.count
        guard batch.size <= geometry.largestAppend else { throw batchTooLarge(batch.size) }
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try unsafe begin(room: batch.size, records: UInt64(count), thread)
        let slot = turn.slot
        let time = timestamp?.nanosecondsSince1970 ?? mlog_clock_read(clock)
        let next = slot.adding(records: UInt64(count), size: batch.size, smallest: time, largest: time)
        control.fillNextSlot(turn.generation, next)
        writeFrames(batch, turn, time)
        // All frames are complete before any word, and the first word comes last.
        if count > 1 { control.batchWords.store(1) }
        commitWords(batch, turn)
        if count > 1 { control.batchWords.store(0) }
        finish(turn)

        return AppendedBatch(
            first: Appended(
                sequence: slot.sequence,
                position: slot.tail,
                end: slot.tail + batch.words[0].frameSize
            ),
            last: Appended(
                sequence: next.sequence &- 1,
                position: next.tail - batch.words[count - 1].frameSize,
                end: next.tail
            ),
            count: count
        )
    }

    private func writeFrames(_ batch: borrowing BatchPayloads, _ turn: Turn, _ time: Int64) {
        var payload = unsafe batch.bytes
        var at = turn.offset
        var slot = turn.slot
        for word in batch.words {
            unsafe write(payload, frame(at), word, turn, position: slot.tail, timestamp: time)
            index(at, slot)
            unsafe payload = payload.map { unsafe $0 + Int(truncatingIfNeeded: word.length) }
            at += word.frameSize
            slot = slot.adding(records: 1, size: word.frameSize, smallest: time, largest: time)
        }
    }

    /// Makes the frames visible, the last one's word first.
    private func commitWords(_ batch: borrowing BatchPayloads, _ turn: Turn) {
        var at = turn.offset + batch.size
        for word in batch.words.reversed() {
            at -= word.frameSize
            unsafe commit(word, at: frame(at))
        }
    }

    private func batchTooLarge(_ size: UInt64) -> LogError {
        LogError(
            .recordTooLarge,
            file: segments.log.medium.path,
            expected: "a batch whose frames take at most \(geometry.largestAppend) bytes",
            found: "\(size) bytes at least",
            advice: "make smaller batches, or a log with larger segments"
        )
    }
}
