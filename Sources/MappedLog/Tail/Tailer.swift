internal import _CMappedLog

/// A cursor between the records of a log: reads forwards and backwards, and waits for what comes.
///
/// Reading takes no lock and no system call, and waits for no writer, alive, stopped or dead. A tailer belongs to one
/// task or thread at a time; any number of tailers, in any number of processes, may read a log. Get one from
/// ``Log/tailer(from:visibility:checksums:)``. It keeps up to two segments mapped; of a compacted one, memory for the
/// blocks of the largest record it read there, or two, and three others, one compressed block, and the index (1/2048 of a
/// segment).
public struct Tailer: ~Copyable {
    var cursor: Cursor
    let visibility: Visibility
    /// No record may end behind this position; of a committed tailer there is no such.
    private var visibleEnd: UInt64
    private var history = History()

    init(_ cursor: consuming Cursor, visibility: Visibility) {
        // In memory nothing is more durable than committed.
        let visibility = cursor.reader.log.medium.isPersistent ? visibility : .committed
        self.cursor = cursor
        self.visibility = visibility
        visibleEnd = visibility == .committed ? .max : 0
    }

    static func start(
        _ reader: LogReader,
        _ start: TailStart,
        _ visibility: Visibility,
        checksums: Bool
    ) throws(LogError) -> Tailer {
        try reader.forkGuard.check()
        let place = try Seek(reader).place(start)
        return Tailer(Cursor(reader, at: place, checksums: checksums), visibility: visibility)
    }

    /// Goes on where a named tailer was; where that is gone, at the first record that is left, and says so first.
    static func resume(
        _ reader: LogReader,
        _ place: NamedTailerFile.Place,
        _ visibility: Visibility,
        checksums: Bool
    ) throws(LogError) -> Tailer {
        do throws(LogError) {
            return try start(reader, .position(Position(rawValue: place.position)), visibility, checksums: checksums)
        } catch  where error.code == .recordsGone {
            var tailer = try start(reader, .first, visibility, checksums: checksums)
            tailer.cursor.standBefore(gapFrom: place.sequence, position: place.position)
            return tailer
        }
    }

    /// The position of the next frame.
    public var position: Position { Position(rawValue: cursor.nextPosition) }

    /// The sequence of the next record.
    public var sequence: UInt64 { cursor.sequence }

    /// The next record, or nil when there is nothing yet.
    ///
    /// Zero-copy: the record's payload lies in the mapping, or in the tailer's own blocks of a compacted segment, and
    /// lives until the tailer is used again. Complexity: O(1) in the size of the log, O(*n*) in that of the record where
    /// checksums are on.
    ///
    /// - Throws: `damaged` where what was durable can't be read; `recordsGone`, once for each gap, where records are
    ///   gone: the next call goes on behind them; `unsupportedSegment`; `forked`; `io`.
    /// - Returns: The record.
    @_lifetime(&self)
    public mutating func next() throws(LogError) -> Record? {
        guard let word = try nextWord() else { return nil }
        let offset = cursor.offset
        let record = unsafe Record(
            payload: RawSpan(
                _unsafeStart: cursor.start + Int(offset) + MLOG_FRAME_HEADER_BYTES,
                byteCount: Int(word.length)
            ),
            sequence: cursor.sequence,
            position: cursor.position,
            timestamp: cursor.timestamp()
        )
        cursor.passRecord(word)
        return unsafe _overrideLifetime(record, mutating: &self)
    }

    /// The next record in a form that may be kept, or nil when there is nothing yet.
    ///
    /// As ``next()`` otherwise.
    ///
    /// - Throws: As ``next()``.
    /// - Returns: The record.
    public mutating func retainedNext() throws(LogError) -> RetainedRecord? {
        guard let word = try nextWord() else { return nil }
        let payload = Int(cursor.offset) + MLOG_FRAME_HEADER_BYTES
        let record = RetainedRecord(
            segment: cursor.segment,
            range: payload..<payload + Int(word.length),
            sequence: cursor.sequence,
            position: cursor.position,
            timestamp: cursor.timestamp()
        )
        cursor.passRecord(word)
        return record
    }

    /// Reads up to `count` records that are there now.
    ///
    /// - Parameters:
    ///   - count: How many records at most.
    ///   - body: Called for each, in order. When it throws, that record counts as read.
    /// - Throws: As ``next()``, and what `body` throws.
    /// - Returns: How many records were read; fewer than `count` means that no more are there yet.
    public mutating func read(
        upTo count: Int,
        _ body: (borrowing Record) throws(LogError) -> Void
    ) throws(LogError) -> Int {
        var done = 0
        while done < count, let record = try next() {
            done += 1
            try body(record)
        }
        return done
    }

    /// Waits until ``next()`` has something, at most for `duration`.
    ///
    /// Spins for some microseconds, then sleeps until a writer wakes it. Blocks the thread: in a task use
    /// ``Log/records(from:visibility:)``.
    ///
    /// - Parameter duration: How long at most.
    /// - Throws: `reentrant` inside an in-place append of any log; `moved`, within a second or two, where the log was
    ///   removed or replaced while nothing came; as ``next()``.
    /// - Returns: Whether there is something.
    public mutating func wait(upTo duration: Duration) throws(LogError) -> Bool {
        if let thread = unsafe mlog_thread(), unsafe mlog_thread_log(thread) != nil { throw .reentrant }
        for _ in 0..<200 {
            if try nextWord() != nil { return true }
            mlog_cpu_pause()
        }
        let deadline = ContinuousClock.now + duration
        while true {
            let left = deadline - .now
            if left <= .zero { return try nextWord() != nil }
            try sleep(left)
            if try nextWord() != nil { return true }
            try cursor.reader.checkStillThere()
        }
    }

    private func sleep(_ longest: Duration) throws(LogError) {
        guard let waiters = cursor.reader.waiters else { return Waiters.poll() }
        let place = waitPlace
        try waiters.sleep(until: place.event, nanoseconds: longest.wholeNanoseconds) { () throws(LogError) in
            place.hasNews
        }
    }

    /// What to look at to see whether there is news.
    var waitPlace: WaitPlace {
        WaitPlace(
            reader: cursor.reader,
            segment: cursor.segment,
            offset: cursor.offset,
            word: cursor.segment.word(at: cursor.offset).rawValue,
            epoch: cursor.reader.epoch,
            durable: visibility == .durable ? max(visibleEnd, cursor.position) : nil
        )
    }

    // MARK: Finding

    /// The word of the next record, which the cursor then stands at and which may be seen; nil: nothing yet.
    @inline(__always)
    private mutating func nextWord() throws(LogError) -> FrameWord? {
        try cursor.reader.forkGuard.check()
        let word = FrameWord(rawValue: unsafe SharedWord<UInt64>(cursor.start + Int(cursor.offset)).load())
        if word.isPlainRecord, cursor.offset &+ word.frameSize <= cursor.limit,
            cursor.position &+ word.frameSize <= visibleEnd, cursor.isWhole(word)
        {
            return word
        }
        return try findNextWord()
    }

    @inline(never)
    private mutating func findNextWord() throws(LogError) -> FrameWord? {
        // Read before the frames, so that what becomes durable meanwhile is news to who waits.
        let durable = visibility == .durable ? try cursor.reader.knownDurable() : .max
        guard let word = try cursor.findRecord() else {
            visibleEnd = max(visibleEnd, durable)
            return nil
        }
        if cursor.position + word.frameSize <= visibleEnd { return word }
        visibleEnd = try cursor.reader.knownDurable()
        return cursor.position + word.frameSize <= visibleEnd ? word : nil
    }

    // MARK: Backwards

    /// The record before, or nil at the first.
    ///
    /// The cursor then stands before it. The log's frames are chained forwards only: the block of 64 KiB is walked
    /// once and its places kept, so that a step back is O(1) on average.
    ///
    /// - Throws: As ``next()``.
    /// - Returns: The record.
    @_lifetime(&self)
    public mutating func previous() throws(LogError) -> Record? {
        try cursor.reader.forkGuard.check()
        guard let word = try history.stepBack(&cursor) else { return nil }
        try cursor.settle(word)
        let record = unsafe Record(
            payload: RawSpan(
                _unsafeStart: cursor.start + Int(cursor.offset) + MLOG_FRAME_HEADER_BYTES,
                byteCount: Int(word.length)
            ),
            sequence: cursor.sequence,
            position: cursor.position,
            timestamp: cursor.timestamp()
        )
        return unsafe _overrideLifetime(record, mutating: &self)
    }

    /// Moves the cursor.
    ///
    /// Complexity: as the cases of ``TailStart`` say.
    ///
    /// - Parameter start: Where to.
    /// - Throws: `outOfRange` for a sequence or position behind the end, or a position where no frame starts;
    ///   `recordsGone` for one before the first that is left; as ``next()``.
    public mutating func seek(to start: TailStart) throws(LogError) {
        try cursor.reader.forkGuard.check()
        let place = try Seek(cursor.reader, near: cursor.segment).place(start)
        cursor.move(
            to: place.segment,
            offset: place.offset,
            sequence: place.sequence,
            isBehindEnd: place.isBehindEnd
        )
    }
}

/// What a waiting tailer looks at.
struct WaitPlace: Sendable {
    let reader: LogReader
    let segment: Segment
    let offset: UInt64
    /// What stood there; a torn tail isn't 0.
    let word: UInt64
    let epoch: UInt64?
    /// The watermark that is not enough, of a tailer that sees only what is durable.
    let durable: UInt64?

    var event: Waiters.Event { durable == nil ? .committed : .durable }

    var hasNews: Bool {
        if reader.epoch != epoch { return true }
        // A compacted segment never changes; that its successor came is seen by looking again.
        guard let durable else { return !segment.isCompacted && segment.word(at: offset).rawValue != word }
        return (reader.control?.words.durable.load() ?? 0) > durable
    }
}
