internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The state of the running system in `live/control`: locks, watermarks, and the two append slots.
///
/// Never needed to recover data. Writers map it writable, tailers read-only. The layout is `mlog_control` in
/// `mapped_log_format.h`; who may touch what, and when, is in `spec/protocol.md`. Here is whose it is and how it begins and
/// ends a life; between those its `words` are used.
@safe final class ControlBlock: Sendable {
    let file: OpenFile
    private let mapping: Mapping
    let words: ControlWords
    private let device: UInt64
    private let inode: UInt64

    init(_ file: OpenFile, writable: Bool) throws(LogError) {
        self.file = file
        mapping = try Mapping(file, byteCount: UInt64(MLOG_CONTROL_BYTES), writable: writable)
        (device, inode) = try file.identity
        words = unsafe ControlWords(control: mapping.start.assumingMemoryBound(to: mlog_control.self))
    }

    // MARK: Whose it is

    /// Whether a process of this boot has made this very file ready for this log.
    func isReady(on system: SystemIdentity, for log: LogID) -> Bool {
        let isThisBoot = unsafe system.bootID.elementsEqual(bytes(of: \.boot_id))
        return isThisBoot && namesItself(log) && isReady
    }

    /// The last part of that: what came before stays true for as long as the file is mapped.
    var isReady: Bool { words.state.load() == UInt32(MLOG_STATE_READY) }

    /// Whether this very file was made ready for this log before the machine was started the last time.
    func isOfEarlierBoot(on system: SystemIdentity) -> Bool {
        let isThisBoot = unsafe system.bootID.elementsEqual(bytes(of: \.boot_id))
        let magic = unsafe words.control.pointee.magic
        return magic == MLOG_CONTROL_MAGIC && !isThisBoot && words.state.load() == UInt32(MLOG_STATE_READY)
    }

    /// Refuses to share locks with processes that know threads or mutexes by other means.
    func checkCompatibility(with system: SystemIdentity) throws(LogError) {
        let found = unsafe words.control.pointee
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
        guard words.state.load() == UInt32(MLOG_STATE_READY) else {
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
        words.state.store(UInt32(MLOG_STATE_RECOVERING))
        if !namesItself(log) { words.poison.store(0) }
        unsafe words.control.pointee.device = device
        unsafe words.control.pointee.inode = inode
        unsafe withUnsafeMutableBytes(of: &words.control.pointee.log_id) { unsafe $0.copyBytes(from: log.bytes) }
        unsafe words.control.pointee.magic = MLOG_CONTROL_MAGIC
        words.flushing.store(1)
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
        words.state.store(UInt32(MLOG_STATE_RECOVERING))
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
        fresh.epoch = words.epoch.load() &+ 1
        fresh.slot = (slot, mlog_append_slot())
        unsafe withUnsafeMutableBytes(of: &fresh.boot_id) { unsafe $0.copyBytes(from: system.bootID) }
        unsafe withUnsafeMutableBytes(of: &fresh.log_id) { unsafe $0.copyBytes(from: log.bytes) }
        unsafe words.control.pointee = fresh
        try words.appendMutex(timeout: .zero).initialize()
        try words.flushMutex(timeout: .zero).initialize()
    }

    // MARK: Clean-close note

    /// The slot at the last clean close, and what lost frames of the active segment took, if the note is whole and
    /// speaks of this very file.
    var cleanClose: (slot: mlog_append_slot, lostCount: UInt64)? {
        var note = unsafe words.control.pointee.note
        guard note.written == 1, note.device == device, note.inode == inode, note.crc == Self.checksum(&note) else {
            return nil
        }
        return (note.slot, UInt64(note.lost_count))
    }

    /// Takes the note back.
    ///
    /// Only under the exclusive writer lock.
    func clearCleanClose() {
        unsafe words.control.pointee.note = mlog_close_note()
    }

    func namesItself(_ log: LogID) -> Bool {
        let found = unsafe (words.control.pointee.device, words.control.pointee.inode, words.control.pointee.magic)
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
        unsafe words.control.pointee.note = note
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
