internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A log in System V shared memory: a table segment at the key that names it, data segments at keys that only the table
/// knows, and a semaphore set for the locks.
///
/// As in `/dev/shm`, nothing is flushed, nothing that is cut off is kept, and dropped segments are used again.
struct SystemVMedium: Medium {
    let location: LogLocation
    let table: SystemVTable
    let bound: Int?

    var path: FilePath { table.path }
    var permissions: FilePermissions { .ownerReadWrite }
    var isPersistent: Bool { false }
    var settingsPath: FilePath { path.appending("options.json") }

    func segmentPath(_ base: UInt64) -> FilePath { path.appending(base.hexadecimal(digits: 16) + ".mlog") }

    func path(of form: SegmentName) -> FilePath { segmentPath(form.base) }

    // MARK: Segments

    func listSegments() throws(LogError) -> [SegmentName] { table.list.bases.map { .raw($0) } }

    func openSegment(_ base: UInt64, writable: Bool) throws(LogError) -> OpenFile? {
        if writable, !table.isCurrent { throw table.gone(.identifierRemoved, "shmctl(2)") }
        return try table.list.attach(base, writable: writable).map { OpenFile(segmentPath(base), MemoryPiece($0)) }
    }

    func openCompacted(_ base: UInt64) throws(LogError) -> OpenFile? { nil }

    func publishSegment(
        _ base: UInt64,
        header: [UInt8],
        byteCount: UInt64,
        namesAreDurable: Bool
    ) throws(LogError) -> Bool {
        try table.change { list throws(LogError) in
            if list.bases.contains(base) { return false }
            let (entry, segment) = try list.make(byteCount: byteCount)
            try OpenFile(segmentPath(base), MemoryPiece(segment)).write(header, at: 0)
            list.publish(entry, base)
            return true
        }
    }

    func replaceSegment(
        _ base: UInt64,
        byteCount: UInt64,
        fill: (OpenFile) throws(LogError) -> Void
    ) throws(LogError) {
        try table.change { list throws(LogError) in
            let (entry, segment) = try list.make(byteCount: byteCount)
            try fill(OpenFile(segmentPath(base), MemoryPiece(segment)))
            list.publish(entry, base)
            list.remove(base, except: entry)
        }
    }

    func flushDirectory() throws(LogError) {}

    func openDirectory() throws(LogError) -> OpenFile? { nil }

    func byteCount(of form: SegmentName) throws(LogError) -> UInt64 { table.header.segment_bytes }

    func remove(_ form: SegmentName) throws(LogError) {
        try table.change { list throws(LogError) in list.remove(form.base) }
    }

    // MARK: Compaction, which there is none of

    func publish(
        _ form: SegmentName,
        fill: (OpenFile) throws(LogError) -> Void,
        check: (OpenFile) throws(LogError) -> Void
    ) throws(LogError) {
        throw .inMemory(location, "compaction", advice: "`mlog snapshot --compact` makes a durable, compacted copy")
    }

    func removeUnfinishedCompactions() throws(LogError) -> Int { 0 }

    // MARK: Nothing is kept

    func setAsideSegment(_ form: SegmentName) throws(LogError) -> FilePath? {
        try remove(form)
        return nil
    }

    func setAside(_ file: OpenFile, _ range: Range<UInt64>, position: UInt64) throws(LogError) -> FilePath? { nil }

    // MARK: The running system

    func makeDirectories() throws(LogError) {}

    func openControl(writable: Bool) throws(LogError) -> OpenFile? {
        try table.file(
            "control",
            at: Int(MLOG_TABLE_CONTROL_OFFSET),
            byteCount: Int(MLOG_CONTROL_BYTES),
            writable: writable
        )
    }

    func openWaiters() throws(LogError) -> OpenFile? {
        try table.file(
            "waiters",
            at: Int(MLOG_TABLE_WAITERS_OFFSET),
            byteCount: Int(MLOG_WAITERS_BYTES),
            writable: true
        )
    }

    func openLock() throws(LogError) -> WriterLock { WriterLock(try table.lockFile()) }

    func writersAlive() -> WritersAlive? {
        guard let set = try? table.semaphores() else { return nil }
        let value = mlog_sem_value(set, CInt(MLOG_LOCK_WRITER))
        return value < 0 ? nil : WritersAlive(shared: Int(value))
    }

    func hasWriters() throws(LogError) -> Bool { (writersAlive()?.shared ?? 0) > 0 }

    /// What a dead process reserved goes with the next change of the list.
    func removeUnpublished() throws(LogError) { try table.change { _ throws(LogError) in } }

    // MARK: Settings and named tailers

    func settingsBytes() throws(LogError) -> [UInt8] { try table.settings() }

    func publishSettings(_ settings: LogSettings) throws(LogError) {
        try table.change { _ throws(LogError) in try table.store(settings: settings.encoded()) }
    }

    func namedTailerNames() throws(LogError) -> [String] { try table.namedTailerNames() }

    func openNamedTailer(_ name: String, create: Bool, writable: Bool) throws(LogError) -> OpenFile? {
        try table.openNamedTailer(name, create: create, writable: writable)
    }

    func removeNamedTailer(_ name: String) throws(LogError) { try table.removeNamedTailer(name) }
}
