import MappedLog

/// Moves records from standard input to a log.
struct RecordAppender: ~Copyable {
    private let log: Log
    private let batchSize: Int
    private let batchBytes: Int
    private var buffer: InputBuffer
    private var splitter: RecordSplitter
    /// The records of the batch that is being gathered.
    private var batch: [Range<Int>] = []
    private var gatheredBytes = 0

    /// The sequence of the first record that was appended.
    private(set) var first: UInt64?
    /// The number of records appended.
    private(set) var count: UInt64 = 0
    /// The number of bytes in them.
    private(set) var byteCount: UInt64 = 0

    /// How late a signal may be noticed while another writer holds the lock.
    static let stallTimeout = Duration.milliseconds(500)
    /// How long to go on trying behind a writer that holds the lock.
    static let patience = Duration.seconds(10)

    /// What a record of a batch may need in the log beyond its payload.
    private static let overhead = 32

    init(log: Log, format: InputFormat, batchSize: Int, input: consuming InputBuffer) {
        self.log = log
        self.batchSize = batchSize
        batchBytes = log.maximumRecordSize
        buffer = input
        splitter = RecordSplitter(format: format, maximumRecordSize: log.maximumRecordSize)
    }

    /// Appends everything up to the end of the input, or up to a signal, which it then gives back.
    ///
    /// Of input with something wrong in it, it appends what comes before that, and then throws.
    mutating func appendAll() throws -> Interrupted? {
        while true {
            while let record = try nextRecord() { try add(record) }
            // The input has no more for the moment: what it gave isn't kept waiting.
            if !batch.isEmpty, buffer.isAtEnd || !buffer.isReady { try appendBatch() }
            if batch.isEmpty { removeAppended() }
            if buffer.isAtEnd { return nil }
            if case .interrupted(let signal) = try buffer.readMore() {
                try appendBatch()
                return Interrupted(signal: signal, report: interruptionReport)
            }
        }
    }

    private mutating func nextRecord() throws -> Range<Int>? {
        do {
            return try splitter.next(in: buffer)
        } catch {
            try appendBatch()
            throw error
        }
    }

    private mutating func add(_ record: Range<Int>) throws {
        if batchSize == 1 {
            try append(record)
            return
        }
        let size = record.count + Self.overhead
        // A batch has to fit into one segment, so it may have to end early.
        if gatheredBytes + size > batchBytes { try appendBatch() }
        batch.append(record)
        gatheredBytes += size
        if batch.count == batchSize { try appendBatch() }
    }

    private mutating func append(_ record: Range<Int>) throws {
        let log = log
        let sequence = try patiently(records: 1) { () throws(LogError) in
            try buffer.withBytes(in: record) { (bytes: RawSpan) throws(LogError) in try log.append(bytes).sequence }
        }
        account(first: sequence, records: 1, bytes: record.count)
    }

    private mutating func appendBatch() throws {
        guard let record = batch.first else { return }
        if batch.count == 1 {
            try append(record)
        } else {
            let sequence = try patiently(records: batch.count) { () throws(LogError) in
                try log.append(batch: buffer.slices(in: batch)).first.sequence
            }
            account(first: sequence, records: batch.count, bytes: batch.reduce(0) { $0 + $1.count })
        }
        batch.removeAll(keepingCapacity: true)
        gatheredBytes = 0
    }

    /// Appends, and tries again for some time while another writer holds the lock, or is stopped in a flush.
    ///
    /// - Throws: `Interrupted` after a signal, else what the log has to say, with what was appended before.
    private func patiently(records: Int, _ append: () throws(LogError) -> UInt64) throws -> UInt64? {
        var deadline: ContinuousClock.Instant?
        var isAppended = false
        while true {
            do throws(LogError) {
                if !isAppended { return try append() }
                try log.sync()
                return nil
            } catch {
                if error.code == .flushStalled {
                    // Appended they are, and only the flush is tried again.
                    isAppended = true
                    let progress = progress(adding: records)
                    if let signal = Interruption.signal {
                        let report =
                            "interrupted while another process was stopped in a flush: \(progress); they may not be flushed"
                        throw Interrupted(signal: signal, report: report)
                    }
                    let now = ContinuousClock.now
                    let end = deadline ?? now + Self.patience
                    if now >= end { throw CommandFailure("\(error); \(progress)") }
                    deadline = end
                    continue
                }
                guard error.code == .writerStalled else { throw failure(error) }
                if let signal = Interruption.signal {
                    let report = "interrupted while another writer held the append lock: \(progress)"
                    throw Interrupted(signal: signal, report: report)
                }
                let now = ContinuousClock.now
                let end = deadline ?? now + Self.patience
                if now >= end { throw failure(error) }
                deadline = end
            }
        }
    }

    /// Gives up what was appended, which is everything that was found.
    private mutating func removeAppended() {
        buffer.removeFirst(splitter.offset)
        splitter.foundWasRemoved()
    }

    private mutating func account(first sequence: UInt64?, records: Int, bytes: Int) {
        if first == nil { first = sequence }
        count += UInt64(records)
        byteCount += UInt64(bytes)
    }

    private func failure(_ error: LogError) -> CommandFailure {
        CommandFailure("\(error); \(progress)")
    }

    private var progress: String { progress(adding: 0) }

    private func progress(adding records: Int) -> String {
        "the first \(count + UInt64(records)) records of standard input are appended, from the next on none is"
    }

    private var interruptionReport: String {
        let rest = buffer.count - splitter.offset
        let unfinished = rest == 0 ? "" : ", \(rest) bytes of an unfinished one are not"
        return "interrupted: the \(count) records read so far are appended\(unfinished)"
    }
}
