internal import _CMappedLog

/// The payloads of a batch, one behind the other.
@usableFromInline
struct BatchPayloads {
    @usableFromInline var bytes: [UInt8] = []
    @usableFromInline var lengths: [Int] = []

    /// Copies them, until they are more than any batch may be: it is refused then.
    ///
    /// Memory is asked for once: growing would copy again, and large pieces would come fresh from the system each time.
    /// What a collection says of its count is a hint, and may be anything.
    @inlinable
    init(_ payloads: some Collection<some Collection<UInt8>>, longest: Int) {
        func bounded(_ count: Int) -> Int { max(0, min(count, longest + 1)) }
        var expected = 0
        for payload in payloads {
            // Each has a frame's header too.
            expected += bounded(payload.count) + 24
            if expected > longest + 64 { break }
        }
        lengths.reserveCapacity(min(bounded(payloads.count), 1 << 16))
        bytes.reserveCapacity(bounded(expected))
        for payload in payloads {
            let before = bytes.count
            bytes.append(payload, longest: longest)
            lengths.append(bytes.count - before)
            if bytes.count + 24 * lengths.count > longest + 64 { return }
        }
    }
}

extension [UInt8] {
    /// Appends bytes, up to one more than the longest that is of use, whatever the collection says of their number.
    @inlinable
    mutating func append(_ payload: some Collection<UInt8>, longest: Int) {
        let wasContiguous: Void? = payload.withContiguousStorageIfAvailable { buffer in
            unsafe append(contentsOf: UnsafeBufferPointer(rebasing: buffer.prefix(longest + 1)))
        }
        if wasContiguous != nil { return }
        for byte in payload.prefix(longest + 1) { append(byte) }
    }
}

extension BatchPayloads {
    /// The word of a record's frame, with its place in the batch.
    fileprivate func word(_ number: Int) -> FrameWord {
        let flags: UInt8
        if lengths.count == 1 {
            flags = 0
        } else if number == 0 {
            flags = FrameWord.Batch.first
        } else {
            flags = number == lengths.count - 1 ? FrameWord.Batch.last : FrameWord.Batch.inner
        }
        return FrameWord(kind: .record, length: UInt32(lengths[number]), flags: flags)
    }
}

extension Appender {
    /// Appends all records or none: all become visible at once.
    func append(_ batch: BatchPayloads, timestamp: Timestamp?) throws(LogError) -> AppendedBatch {
        let size = batch.lengths.reduce(UInt64(0)) { $0 + FrameWord.frameSize(payload: UInt64($1)) }
        guard size <= geometry.largestAppend else { throw batchTooLarge(size) }
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try unsafe begin(room: size, records: UInt64(batch.lengths.count), thread)
        let slot = turn.slot
        let time = timestamp?.nanosecondsSince1970 ?? mlog_clock_read(clock)
        let count = batch.lengths.count
        let next = slot.adding(records: UInt64(count), size: size, smallest: time, largest: time)
        control.fillNextSlot(turn.generation, next)
        writeFrames(batch, turn, time)
        // All frames are complete before any word, and the first word comes last.
        if count > 1 { control.batchWords.store(1) }
        commitWords(batch, turn, end: turn.offset + size)
        if count > 1 { control.batchWords.store(0) }
        finish(turn)

        let firstSize = FrameWord.frameSize(payload: UInt64(batch.lengths[0]))
        let lastSize = FrameWord.frameSize(payload: UInt64(batch.lengths[count - 1]))
        return AppendedBatch(
            first: Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail + firstSize),
            last: Appended(sequence: next.sequence &- 1, position: next.tail - lastSize, end: next.tail),
            count: count
        )
    }

    private func writeFrames(_ batch: BatchPayloads, _ turn: Turn, _ time: Int64) {
        var at = turn.offset
        var slot = turn.slot
        unsafe batch.bytes.withUnsafeBytes { bytes in
            var read = 0
            for number in 0..<batch.lengths.count {
                let word = batch.word(number)
                unsafe write(
                    bytes.baseAddress.map { unsafe $0 + read },
                    frame(at),
                    word,
                    turn,
                    position: slot.tail,
                    timestamp: time
                )
                index(at, slot)
                read += batch.lengths[number]
                at += word.frameSize
                slot = slot.adding(records: 1, size: word.frameSize, smallest: time, largest: time)
            }
        }
    }

    /// Makes the frames visible, the last one's word first.
    private func commitWords(_ batch: BatchPayloads, _ turn: Turn, end: UInt64) {
        var at = end
        for number in (0..<batch.lengths.count).reversed() {
            let word = batch.word(number)
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
