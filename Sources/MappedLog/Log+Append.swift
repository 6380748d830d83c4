internal import _CMappedLog

extension Log {
    /// Appends one record.
    ///
    /// When it returns the record is visible to all tailers, and survives the death of every process. It survives a
    /// crash of the machine once it is durable: see ``sync()`` and ``Durability``. The bytes are copied once, into
    /// the mapping. Complexity: O(*n*) in the record's size; no system call and no allocation, unless the policy says
    /// to flush, a segment ends, or another writer holds the lock; and one that wakes whoever sleeps until something
    /// comes: a tailer, the thread that populates the next 8 MiB, the one that flushes what comes behind a pause.
    ///
    /// - Parameters:
    ///   - payload: The bytes; 0 to ``maximumRecordSize`` of them. Contiguous storage (`[UInt8]`, `Data`,
    ///     `String.UTF8View`, their slices) is used as it is, any other is copied first.
    ///   - timestamp: The record's timestamp; nil asks the clock.
    /// - Throws: `recordTooLarge`; `diskFull` where the next segment can't be made: nothing was appended, and one may
    ///   try again; `writerStalled`; `reentrant`; `readOnly`, `closed`, `forked`; `poisoned`, `needsRecovery`: nothing
    ///   more can be appended until all writers closed the log. Where the policy is to flush, `poisoned` also says
    ///   that the record was appended but is not durable, and `flushStalled` that it isn't yet: only ``sync()`` is to be
    ///   tried again.
    /// - Returns: Where the record stands.
    @discardableResult
    @inlinable
    public func append(_ payload: some Collection<UInt8>, timestamp: Timestamp? = nil) throws(LogError) -> Appended {
        let appended = payload.withContiguousStorageIfAvailable { buffer in
            unsafe appendResult(UnsafeRawBufferPointer(buffer), timestamp)
        }
        if let appended { return try appended.get() }
        return try append(unsafe [UInt8](payload, longest: maximumRecordSize).span.bytes, timestamp: timestamp)
    }

    /// Appends one record from a span of bytes, as ``append(_:timestamp:)-(Collection<UInt8>,_)`` otherwise.
    ///
    /// - Parameters:
    ///   - payload: The bytes; 0 to ``maximumRecordSize`` of them.
    ///   - timestamp: The record's timestamp; nil asks the clock.
    /// - Throws: As for a collection.
    /// - Returns: Where the record stands.
    @discardableResult
    public func append(_ payload: RawSpan, timestamp: Timestamp? = nil) throws(LogError) -> Appended {
        // The span is borrowed until the append returns. In the closure, all of it would be a call more.
        let start = unsafe payload.withUnsafeBytes { bytes in bytes.baseAddress }
        guard let appender else { throw readOnly }
        return try unsafe appender.append(start, payload.byteCount, timestamp)
    }

    /// Closures infer `any Error`: a result keeps the type.
    @usableFromInline
    func appendResult(_ bytes: UnsafeRawBufferPointer, _ timestamp: Timestamp?) -> Result<Appended, LogError> {
        guard let appender else { return .failure(readOnly) }
        do throws(LogError) {
            return .success(try unsafe appender.append(bytes.baseAddress, bytes.count, timestamp))
        } catch {
            return .failure(error)
        }
    }

    /// Appends one record that a closure writes in place, straight into the mapping.
    ///
    /// The closure runs inside the append lock: every other writer waits for it. In it, append, sync, close and
    /// waiting on any log throw `reentrant`; reading is fine.
    ///
    /// - Parameters:
    ///   - byteCount: How many bytes to reserve, 0 to ``maximumRecordSize``. Fewer may be used.
    ///   - timestamp: The record's timestamp; nil asks the clock.
    ///   - fill: Writes the record's bytes. When it throws, nothing was appended.
    /// - Throws: `fillFailed`, with what the closure threw as ``LogError/underlyingError``; as for a collection.
    /// - Returns: Where the record stands.
    @discardableResult
    public func append(
        reserving byteCount: Int,
        timestamp: Timestamp? = nil,
        _ fill: (inout OutputRawSpan) throws -> Void
    ) throws(LogError) -> Appended {
        let writer = try openWriter()
        let appended = try writer.appender.append(reserving: byteCount, timestamp: timestamp, fill)
        try writer.applyDurability(upTo: appended.end.rawValue)
        return appended
    }

    /// Appends a batch: its records follow each other, become visible at once, and survive all or not at all.
    ///
    /// Complexity: O(*n*) in the batch's size; the payloads are copied twice.
    ///
    /// - Parameters:
    ///   - payloads: The records' bytes, one at least. Their frames must fit into one segment.
    ///   - timestamp: The timestamp of all records; nil asks the clock.
    /// - Throws: `emptyBatch`; `recordTooLarge` when the batch doesn't fit; as for a collection.
    /// - Returns: Where the records stand.
    @discardableResult
    @inlinable
    public func append(
        batch payloads: some Collection<some Collection<UInt8>>,
        timestamp: Timestamp? = nil
    ) throws(LogError) -> AppendedBatch {
        try append(BatchPayloads(payloads, longest: maximumRecordSize), timestamp)
    }

    @usableFromInline
    func append(_ batch: borrowing BatchPayloads, _ timestamp: Timestamp?) throws(LogError) -> AppendedBatch {
        guard !batch.words.isEmpty else {
            throw LogError(.emptyBatch, file: path, advice: "append one record at least")
        }
        let writer = try openWriter()
        let appended = try writer.appender.append(batch, timestamp: timestamp)
        try writer.applyDurability(upTo: appended.last.end.rawValue)
        return appended
    }

    // MARK: Sync

    /// Makes everything durable that was visible before the call: `fdatasync(2)`.
    ///
    /// Callers of all threads and processes share flushes: who finds its records durable by another's returns at once.
    /// Of a log in memory it does nothing: there is no disk.
    ///
    /// - Throws: `poisoned` when the flush fails, here or elsewhere: what was not durable may be lost, and the log is
    ///   closed for writing in every process until all closed it; `needsRecovery` when a repair's flush failed, which may
    ///   have been told what this one was not; `flushStalled` when another process is stopped inside a flush; `readOnly`, `closed`, `forked`, `reentrant`.
    public func sync() throws(LogError) {
        let writer = try openWriter()
        try writer.sync()
    }

    /// Makes everything durable that was visible before the call, without holding the caller's thread.
    ///
    /// - Throws: As the form that isn't `async`.
    public func sync() async throws(LogError) {
        let writer = try openWriter()
        try await writer.sync()
    }

    @inline(__always)
    private func openWriter() throws(LogError) -> Writer {
        guard let writer else { throw readOnly }
        return writer
    }

    private var readOnly: LogError {
        LogError(.readOnly, file: path, advice: "open it with Log.open(at:)")
    }
}
