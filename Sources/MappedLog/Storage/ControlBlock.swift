internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The state of the running system in `live/control`: locks, watermarks, and the two append slots.
///
/// Never needed to recover data. Writers map it writable, tailers read-only. The layout is `mlog_control` in
/// `mapped_log_format.h`; who may touch what, and when, is in `spec/protocol.md`.
@safe final class ControlBlock: Sendable {
    let file: OpenFile
    private let mapping: Mapping
    nonisolated(unsafe) let control: UnsafeMutablePointer<mlog_control>
    private let device: UInt64
    private let inode: UInt64

    init(_ file: OpenFile, writable: Bool) throws(LogError) {
        self.file = file
        mapping = try Mapping(file, byteCount: UInt64(MLOG_CONTROL_BYTES), writable: writable)
        (device, inode) = try file.identity
        unsafe control = mapping.start.assumingMemoryBound(to: mlog_control.self)
    }

    // MARK: Words

    var state: SharedWord<UInt32> { word(\.state) }
    /// The durable watermark: a position; all before it is on the disk.
    @inline(__always) var durable: SharedWord<UInt64> { word(\.durable) }
    /// Rises whenever files were replaced or the tail was cut.
    var epoch: SharedWord<UInt64> { word(\.epoch) }
    /// The errno of the flush that failed, or 0.
    @inline(__always) var poison: SharedWord<UInt32> { word(\.poison) }
    var flushing: SharedWord<UInt32> { word(\.flushing) }
    /// The next record's sequence when the last flush for somebody began.
    var flushedSequence: SharedWord<UInt64> { word(\.flushed_sequence) }
    /// How many records that flush covered, if anybody waited for it; else 0.
    var flushedRecords: SharedWord<UInt32> { word(\.flushed_records) }
    var flushMicroseconds: SharedWord<UInt32> { word(\.flush_microseconds) }
    @inline(__always) var generation: SharedWord<UInt64> { word(\.generation) }
    /// The errno of the repair that failed, or 0.
    @inline(__always) var needsRecovery: SharedWord<UInt32> { word(\.needs_recovery) }
    /// 1 while words of a batch may stand behind the tail.
    var batchWords: SharedWord<UInt32> { word(\.batch_words) }
    /// The position behind the last mark.
    var markTail: SharedWord<UInt64> { word(\.mark_tail) }
    /// The first position of the segment whose lost frames took `lostCount` sequences, or 0.
    var lostPosition: SharedWord<UInt64> { word(\.lost_position) }
    var lostCount: SharedWord<UInt64> { word(\.lost_count) }

    @inline(__always)
    private func word<Value>(_ field: KeyPath<mlog_control, Value>) -> SharedWord<Value> {
        unsafe SharedWord(UnsafeMutableRawPointer(control) + MemoryLayout<mlog_control>.offset(of: field)!)
    }

    func appendMutex(timeout: Duration) -> RobustMutex {
        unsafe RobustMutex(mapping.start + MemoryLayout<mlog_control>.offset(of: \.append_mutex)!, timeout: timeout)
    }

    func flushMutex(timeout: Duration) -> RobustMutex {
        unsafe RobustMutex(mapping.start + MemoryLayout<mlog_control>.offset(of: \.flush_mutex)!, timeout: timeout)
    }

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
        let words = words(of: generation &+ 1)
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
            let words = words(of: before)
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

    private typealias SlotWords = (
        tail: SharedWord<UInt64>, sequence: SharedWord<UInt64>, smallest: SharedWord<UInt64>,
        largest: SharedWord<UInt64>
    )

    @inline(__always)
    private func words(of generation: UInt64) -> SlotWords {
        let slot = UnsafeMutableRawPointer(unsafe slotPointer(generation))
        return unsafe (
            SharedWord(slot + MemoryLayout<mlog_append_slot>.offset(of: \.tail)!),
            SharedWord(slot + MemoryLayout<mlog_append_slot>.offset(of: \.sequence)!),
            SharedWord(slot + MemoryLayout<mlog_append_slot>.offset(of: \.smallest_timestamp)!),
            SharedWord(slot + MemoryLayout<mlog_append_slot>.offset(of: \.largest_timestamp)!)
        )
    }

    // MARK: Whose it is

    /// Whether a process of this boot has made this very file ready for this log.
    func isReady(on system: SystemIdentity, for log: LogID) -> Bool {
        let isThisBoot = unsafe system.bootID.elementsEqual(bytes(of: \.boot_id))
        return isThisBoot && namesItself(log) && isReady
    }

    /// The last part of that: what came before stays true for as long as the file is mapped.
    var isReady: Bool { state.load() == UInt32(MLOG_STATE_READY) }

    /// Whether this very file was made ready for this log before the machine was started the last time.
    func isOfEarlierBoot(on system: SystemIdentity) -> Bool {
        let (isThisBoot, magic) = unsafe (system.bootID.elementsEqual(bytes(of: \.boot_id)), control.pointee.magic)
        return magic == MLOG_CONTROL_MAGIC && !isThisBoot && state.load() == UInt32(MLOG_STATE_READY)
    }

    /// Refuses to share locks with processes that know threads or mutexes by other means.
    func checkCompatibility(with system: SystemIdentity) throws(LogError) {
        let found = unsafe control.pointee
        guard found.magic == MLOG_CONTROL_MAGIC, found.layout_version == UInt32(MLOG_CONTROL_LAYOUT),
            found.c_library == UInt32(MLOG_C_LIBRARY), found.pointer_bytes == UInt32(MemoryLayout<Int>.size),
            found.mutex_bytes == UInt32(MLOG_MUTEX_SIZE)
        else {
            throw LogError(
                .foreignControl,
                file: file.path,
                expected: "layout \(MLOG_CONTROL_LAYOUT), C library \(MLOG_C_LIBRARY), "
                    + "pointers of \(MemoryLayout<Int>.size) bytes, mutexes of \(MLOG_MUTEX_SIZE) bytes",
                found: "\(found.layout_version), \(found.c_library), \(found.pointer_bytes), \(found.mutex_bytes)",
                advice: "use the same build as the log's other writers, or close them first"
            )
        }
        guard found.pid_namespace == system.pidNamespace else {
            throw LogError(
                .foreignPidNamespace,
                file: file.path,
                expected: "pid namespace \(found.pid_namespace)",
                found: "pid namespace \(system.pidNamespace)",
                advice: "run all writers of a log in one pid namespace (containers: share it)"
            )
        }
    }

    /// Refuses to join a log whose first writer's recovery failed or died.
    func checkReady(path: FilePath) throws(LogError) {
        guard state.load() == UInt32(MLOG_STATE_READY) else {
            throw LogError(
                .recovering,
                file: path,
                expected: "a recovered log",
                found: "one whose recovery is not finished",
                advice: "close the log in all processes, then open it again"
            )
        }
    }

    /// Claims this file for this log, not ready and with a flush under way.
    ///
    /// Only under the exclusive writer lock.
    func beginRecovery(on system: SystemIdentity, for log: LogID) {
        state.store(UInt32(MLOG_STATE_RECOVERING))
        if !namesItself(log) { poison.store(0) }
        unsafe control.pointee.device = device
        unsafe control.pointee.inode = inode
        unsafe withUnsafeMutableBytes(of: &control.pointee.log_id) { unsafe $0.copyBytes(from: log.bytes) }
        unsafe control.pointee.magic = MLOG_CONTROL_MAGIC
        flushing.store(1)
    }

    /// Starts a new life of the log in place: everything anew but `epoch`, which rises.
    ///
    /// Not ready yet when it returns. Only under the exclusive writer lock.
    func beginLife(
        on system: SystemIdentity,
        for log: LogID,
        segmentSize: UInt64,
        slot: mlog_append_slot
    ) throws(LogError) {
        state.store(UInt32(MLOG_STATE_RECOVERING))
        var fresh = mlog_control()
        fresh.magic = MLOG_CONTROL_MAGIC
        fresh.layout_version = UInt32(MLOG_CONTROL_LAYOUT)
        fresh.c_library = UInt32(MLOG_C_LIBRARY)
        fresh.pointer_bytes = UInt32(MemoryLayout<Int>.size)
        fresh.mutex_bytes = UInt32(MLOG_MUTEX_SIZE)
        fresh.pid_namespace = system.pidNamespace
        fresh.device = device
        fresh.inode = inode
        fresh.segment_bytes = segmentSize
        fresh.state = UInt32(MLOG_STATE_RECOVERING)
        fresh.durable = slot.tail
        fresh.epoch = epoch.load() &+ 1
        fresh.slot = (slot, mlog_append_slot())
        unsafe withUnsafeMutableBytes(of: &fresh.boot_id) { unsafe $0.copyBytes(from: system.bootID) }
        unsafe withUnsafeMutableBytes(of: &fresh.log_id) { unsafe $0.copyBytes(from: log.bytes) }
        unsafe control.pointee = fresh
        try appendMutex(timeout: .zero).initialize()
        try flushMutex(timeout: .zero).initialize()
    }

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
        if repair != 0 {
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
    var mistrustsCache: Bool {
        poison.load() != 0 || flushing.load() != 0 || needsRecovery.load() != 0 || batchWords.load() == 2
    }

    // MARK: Clean-close note

    /// The slot at the last clean close, and what lost frames of the active segment took, if the note is whole and
    /// speaks of this very file.
    var cleanClose: (slot: mlog_append_slot, lostCount: UInt64)? {
        var note = unsafe control.pointee.note
        guard note.written == 1, note.device == device, note.inode == inode, note.crc == Self.checksum(&note) else {
            return nil
        }
        return (note.slot, UInt64(note.lost_count))
    }

    /// Takes the note back.
    ///
    /// Only under the exclusive writer lock.
    func clearCleanClose() {
        unsafe control.pointee.note = mlog_close_note()
    }

    func namesItself(_ log: LogID) -> Bool {
        let found = unsafe (control.pointee.device, control.pointee.inode, control.pointee.magic)
        let isSameLog = unsafe log.bytes.elementsEqual(bytes(of: \.log_id))
        return isSameLog && found == (device, inode, MLOG_CONTROL_MAGIC)
    }

    /// Durable when it returns.
    ///
    /// Only behind the flush of everything it speaks of.
    func writeCleanClose(_ slot: mlog_append_slot, lostCount: UInt32) throws(LogError) {
        var note = mlog_close_note()
        note.device = device
        note.inode = inode
        note.slot = slot
        note.written = 1
        note.lost_count = lostCount
        note.crc = Self.checksum(&note)
        unsafe control.pointee.note = note
        try file.flushData()
    }

    private static func checksum(_ note: inout mlog_close_note) -> UInt32 {
        unsafe withUnsafeBytes(of: &note) { bytes in
            var checksum = Checksum()
            unsafe checksum.add(UnsafeRawBufferPointer(rebasing: bytes[..<60]))
            return checksum.value
        }
    }

    private func bytes(of field: PartialKeyPath<mlog_control>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: mapping.start + MemoryLayout<mlog_control>.offset(of: field)!, count: 16)
    }
}
