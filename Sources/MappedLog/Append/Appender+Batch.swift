internal import _CMappedLog

/// The payloads of a batch, one behind the other.
@usableFromInline
struct BatchPayloads {
    @usableFromInline var bytes: [UInt8] = []
    @usableFromInline var lengths: [Int] = []

    @inlinable
    init() {}

    @inlinable
    mutating func add(_ payload: some Collection<UInt8>) {
        let before = bytes.count
        bytes.append(contentsOf: payload)
        lengths.append(bytes.count - before)
    }
}

extension Appender {
    /// Appends all records or none: all become visible at once.
    func append(_ batch: BatchPayloads, timestamp: Timestamp?) throws(LogError) -> AppendedBatch {
        let size = batch.lengths.reduce(UInt64(0)) { $0 + FrameWord.frameSize(payload: UInt64($1)) }
        guard size <= geometry.largestAppend else { throw batchTooLarge(size) }
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        var turn = try begin(room: size)
        let slot = turn.slot
        let time = timestamp ?? Timestamp(nanosecondsSince1970: clock.read())
        let records = UInt64(batch.lengths.count)
        control.fillNextSlot(
            turn.generation,
            slot.adding(
                records: records,
                size: size,
                smallest: time.nanosecondsSince1970,
                largest: time.nanosecondsSince1970
            )
        )
        let words = writeFrames(batch, turn, time)
        // All frames are complete before any word, and the first word comes last.
        if words.count > 1 { control.batchWords.store(1) }
        for (offset, word) in words.reversed() { unsafe commit(word, at: active.pointee.start + Int(offset)) }
        if words.count > 1 { control.batchWords.store(0) }
        finish(&turn, behind: turn.offset + size)

        let (lastOffset, lastWord) = words[words.count - 1]
        let last = slot.tail + lastOffset - turn.offset
        return AppendedBatch(
            first: Appended(
                sequence: slot.sequence,
                position: slot.tail,
                end: slot.tail + words[0].word.frameSize
            ),
            last: Appended(sequence: slot.sequence &+ records &- 1, position: last, end: last + lastWord.frameSize),
            count: words.count
        )
    }

    private func writeFrames(
        _ batch: BatchPayloads,
        _ turn: Turn,
        _ time: Timestamp
    ) -> [(offset: UInt64, word: FrameWord)] {
        var words: [(offset: UInt64, word: FrameWord)] = []
        words.reserveCapacity(batch.lengths.count)
        var at = turn.offset
        var read = 0
        var slot = turn.slot
        for (number, length) in batch.lengths.enumerated() {
            let word = FrameWord(
                kind: .record,
                length: UInt32(length),
                flags: Self.flags(number, of: batch.lengths.count)
            )
            let frame = unsafe active.pointee.start + Int(at)
            unsafe batch.bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return }
                unsafe (frame + MLOG_FRAME_HEADER_BYTES).copyMemory(from: start + read, byteCount: length)
            }
            unsafe complete(
                frame,
                word,
                position: slot.tail,
                timestamp: time.nanosecondsSince1970
            )
            index(at, slot)
            words.append((at, word))
            read += length
            at += word.frameSize
            slot = slot.adding(
                records: 1,
                size: word.frameSize,
                smallest: time.nanosecondsSince1970,
                largest: time.nanosecondsSince1970
            )
        }
        return words
    }

    private static func flags(_ number: Int, of count: Int) -> UInt8 {
        if count == 1 { return 0 }
        if number == 0 { return FrameWord.Batch.first }
        return number == count - 1 ? FrameWord.Batch.last : FrameWord.Batch.inner
    }

    private func batchTooLarge(_ size: UInt64) -> LogError {
        LogError(
            .recordTooLarge,
            file: segments.log.medium.path,
            expected: "a batch whose frames take at most \(geometry.largestAppend) bytes",
            found: "\(size) bytes",
            advice: "make smaller batches, or a log with larger segments"
        )
    }
}
