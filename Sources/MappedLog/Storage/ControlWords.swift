internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// What processes share of `live/control` while the log is open: locks, watermarks, the two append slots, and why nothing
/// may be written any more.
///
/// No more than an address: the appender keeps it in a register. Who uses it keeps the ``ControlBlock`` alive.
@safe struct ControlWords: Sendable {
    nonisolated(unsafe) let control: UnsafeMutablePointer<mlog_control>

    var state: SharedWord<UInt32> { word(\.state) }
    /// The durable watermark: a position; all before it is on the disk.
    @inline(__always) var durable: SharedWord<UInt64> { word(\.durable) }
    /// Rises whenever files were replaced or the tail was cut.
    var epoch: SharedWord<UInt64> { word(\.epoch) }
    /// The errno of the flush that failed, or 0.
    var poison: SharedWord<UInt32> { word(\.poison) }
    var flushing: SharedWord<UInt32> { word(\.flushing) }
    /// The next record's sequence when the last flush for somebody began.
    var flushedSequence: SharedWord<UInt64> { word(\.flushed_sequence) }
    /// How many records that flush covered, if anybody waited for it; else 0.
    var flushedRecords: SharedWord<UInt32> { word(\.flushed_records) }
    var flushMicroseconds: SharedWord<UInt32> { word(\.flush_microseconds) }
    @inline(__always) var generation: SharedWord<UInt64> { word(\.generation) }
    /// The errno of the repair that failed, `MLOG_REPAIR_DUE`, or 0.
    var needsRecovery: SharedWord<UInt32> { word(\.needs_recovery) }
    /// Both of these at once: 0 where an append may go on.
    @inline(__always)
    var failures: SharedWord<UInt64> { unsafe SharedWord(address(of: \.needs_recovery)) }
    /// 1 while words of a batch may stand behind the tail.
    var batchWords: SharedWord<UInt32> { word(\.batch_words) }
    /// The position behind the last mark.
    var markTail: SharedWord<UInt64> { word(\.mark_tail) }
    /// The first position of the segment whose lost frames took `lostCount` sequences, or 0.
    var lostPosition: SharedWord<UInt64> { word(\.lost_position) }
    var lostCount: SharedWord<UInt64> { word(\.lost_count) }

    @inline(__always)
    private func word<Value>(_ field: KeyPath<mlog_control, Value>) -> SharedWord<Value> {
        unsafe SharedWord(address(of: field))
    }

    @inline(__always)
    private func address(of field: PartialKeyPath<mlog_control>) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(control) + MemoryLayout<mlog_control>.offset(of: field)!
    }

    /// For `mapped_log_lock.h`.
    @inline(__always)
    var appendMutexAddress: UnsafeMutableRawPointer { unsafe address(of: \.append_mutex) }

    func appendMutex(timeout: Duration) -> RobustMutex {
        unsafe RobustMutex(appendMutexAddress, timeout: timeout)
    }

    func flushMutex(timeout: Duration) -> RobustMutex {
        unsafe RobustMutex(address(of: \.flush_mutex), timeout: timeout)
    }

    /// Whether who takes the append lock has to repair what a dead owner left.
    var isRepairDue: Bool { needsRecovery.load() == UInt32(MLOG_REPAIR_DUE) }

    // MARK: The two slots

    /// The slot that `generation` selects.
    ///
    /// Only under the append lock.
    @inline(__always)
    func slot(_ generation: UInt64) -> mlog_append_slot {
        unsafe slotPointer(generation).pointee
    }

    /// Fills the slot that the next generation selects.
    ///
    /// Only under the append lock.
    ///
    /// Field by field, and before any later store to the segment: a repair must find the bound of what was written. Who
    /// reads without the lock may look meanwhile.
    @inline(__always)
    func fillNextSlot(_ generation: UInt64, _ slot: mlog_append_slot) {
        let words = slotWords(generation).other
        words.sequence.relaxedStore(slot.sequence)
        words.smallest.relaxedStore(UInt64(bitPattern: slot.smallest_timestamp))
        words.largest.relaxedStore(UInt64(bitPattern: slot.largest_timestamp))
        words.tail.store(slot.tail)
        mlog_release_fence()
    }

    /// The current slot, read without the lock: retried until no append moved the generation meanwhile.
    func currentSlot() -> mlog_append_slot {
        while true {
            let before = generation.load()
            let words = slotWords(before)
            let copy = mlog_append_slot(
                tail: words.tail.load(),
                sequence: words.sequence.relaxedLoad(),
                smallest_timestamp: Int64(bitPattern: words.smallest.relaxedLoad()),
                largest_timestamp: Int64(bitPattern: words.largest.relaxedLoad())
            )
            mlog_acquire_fence()
            if generation.load() == before { return copy }
            mlog_cpu_pause()
        }
    }

    @inline(__always)
    private func slotPointer(_ generation: UInt64) -> UnsafeMutablePointer<mlog_append_slot> {
        let offset = MemoryLayout<mlog_control>.offset(of: \mlog_control.slot)!
        return unsafe (UnsafeMutableRawPointer(control) + offset).assumingMemoryBound(to: mlog_append_slot.self)
            + Int(generation & 1)
    }

    @inline(__always)
    func slotWords(_ generation: UInt64) -> SlotWords {
        unsafe SlotWords(slot: UnsafeMutableRawPointer(slotPointer(generation)))
    }

    /// The fields of a slot, each by itself.
    @safe struct SlotWords {
        fileprivate nonisolated(unsafe) let slot: UnsafeMutableRawPointer

        @inline(__always) var tail: SharedWord<UInt64> { word(\.tail) }
        @inline(__always) var sequence: SharedWord<UInt64> { word(\.sequence) }
        @inline(__always) var smallest: SharedWord<UInt64> { word(\.smallest_timestamp) }
        @inline(__always) var largest: SharedWord<UInt64> { word(\.largest_timestamp) }

        /// The other of the two: they are a bit of the address apart, since they lie at a multiple of 64 in a page.
        @inline(__always)
        var other: SlotWords {
            let address = unsafe UInt(bitPattern: slot) ^ UInt(MemoryLayout<mlog_append_slot>.size)
            return unsafe SlotWords(slot: UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped)
        }

        @inline(__always)
        private func word(_ field: PartialKeyPath<mlog_append_slot>) -> SharedWord<UInt64> {
            unsafe SharedWord(slot + MemoryLayout<mlog_append_slot>.offset(of: field)!)
        }
    }

    // MARK: Failures

    /// Why nothing may be written any more, or nil.
    func writingFailure(of path: FilePath) -> LogError? {
        let poison = poison.load()
        if poison == UInt32(bitPattern: Errno.staleNFSFileHandle.rawValue) {
            return LogError(
                .moved,
                file: path,
                expected: "the live/ that was opened",
                found: "another, or none",
                advice: "close the log in all processes, then open it where it is now: it recovers"
            )
        }
        if poison != 0 {
            return LogError(
                .poisoned,
                file: path,
                errno: Errno(rawValue: CInt(bitPattern: poison)),
                advice: "close the log in all processes, mend the disk, then open it again: it recovers"
            )
        }
        let repair = needsRecovery.load()
        if repair != 0, repair != UInt32(MLOG_REPAIR_DUE) {
            return LogError(
                .needsRecovery,
                file: path,
                errno: Errno(rawValue: CInt(bitPattern: repair)),
                advice: "close the log in all processes, then open it again: it recovers"
            )
        }
        return nil
    }

    /// Whether the cache may show what the disk lacks: a flush failed, or nobody knows whether it did.
    ///
    /// Nobody knows where writers of another layout had the file: what they say of it stands in other places.
    var mistrustsCache: Bool {
        let layout = unsafe control.pointee.layout_version
        return layout != UInt32(MLOG_CONTROL_LAYOUT) || poison.load() != 0 || flushing.load() != 0
            || needsRecovery.load() != 0 || batchWords.load() == 2
    }
}
