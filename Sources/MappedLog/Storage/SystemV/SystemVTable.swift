internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// The table segment of a log in System V shared memory: what stands in files elsewhere, and the list of its segments.
///
/// Attached read-only; a second time, writable, once something is to be stored. `spec/protocol.md`, "Logs in memory",
/// says who stores what when.
@safe final class SystemVTable: Sendable {
    /// What messages call the log.
    let path: FilePath
    let key: Int32
    let id: CInt
    private let reading: AttachedSegment
    private let writing = Mutex<AttachedSegment?>(nil)
    private let set = Mutex<CInt?>(nil)

    init(_ segment: AttachedSegment, key: Int32, path: FilePath) {
        self.key = key
        self.path = path
        id = segment.id
        reading = segment
    }

    var header: mlog_table { unsafe reading.start.load(as: mlog_table.self) }

    /// Whether its creation was finished, and its removal not begun.
    var isComplete: Bool {
        let magic = unsafe SharedWord<UInt64>(reading.start + MemoryLayout<mlog_table>.offset(of: \.magic)!)
        return magic.load() == MLOG_TABLE_MAGIC && header.claim == MLOG_TABLE_CLAIM
    }

    func storeMagic(_ magic: UInt64) throws(LogError) {
        let start = unsafe try writable().start
        unsafe SharedWord<UInt64>(start + MemoryLayout<mlog_table>.offset(of: \.magic)!).store(magic)
    }

    /// Whether the key still leads here.
    var isCurrent: Bool {
        guard let status = try? SystemV.status(id) else { return false }
        return status.is_removed == 0
    }

    /// The segment for stores.
    func writable() throws(LogError) -> AttachedSegment {
        if let segment = writing.withLock({ $0 }) { return segment }
        let segment: AttachedSegment
        do throws(Errno) { segment = try AttachedSegment(id, isWritable: true) } catch { throw gone(error, "shmat(2)") }
        return writing.withLock { writing in
            if writing == nil { writing = segment }
            return writing ?? segment
        }
    }

    // MARK: Its parts, as files

    func piece(at offset: Int, byteCount: Int, writable isWritable: Bool) throws(LogError) -> MemoryPiece {
        MemoryPiece(isWritable ? try writable() : reading, offset..<offset + byteCount)
    }

    func file(_ name: String, at offset: Int, byteCount: Int, writable: Bool) throws(LogError) -> OpenFile {
        OpenFile(path.appending(name), try piece(at: offset, byteCount: byteCount, writable: writable))
    }

    /// The semaphores that stand for the bytes of `live/lock`.
    func lockFile() throws(LogError) -> OpenFile {
        var piece = MemoryPiece(reading, 0..<0, locks: SemaphoreLocks(try semaphores()))
        piece.isCurrent = { [self] in isCurrent }
        return OpenFile(path.appending("lock"), piece)
    }

    /// The id of the semaphore set.
    func semaphores() throws(LogError) -> CInt {
        if let set = set.withLock({ $0 }) { return set }
        let found: CInt
        do throws(Errno) {
            found = try SystemV.check(mlog_sem_find(header.semaphores_key))
        } catch .noSuchFileOrDirectory {
            throw .goneSemaphores(path)
        } catch {
            throw .system(error, "semget(2)", file: path)
        }
        set.withLock { $0 = found }
        return found
    }

    // MARK: Settings

    func settings() throws(LogError) -> [UInt8] {
        let count = min(Int(header.settings_bytes), Int(MLOG_TABLE_SETTINGS_BYTES))
        let file = try file(
            "options.json",
            at: Int(MLOG_TABLE_SETTINGS_OFFSET),
            byteCount: Int(MLOG_TABLE_SETTINGS_BYTES),
            writable: false
        )
        return try file.read(count, at: 0)
    }

    func store(settings bytes: [UInt8]) throws(LogError) {
        let file = try file(
            "options.json",
            at: Int(MLOG_TABLE_SETTINGS_OFFSET),
            byteCount: Int(MLOG_TABLE_SETTINGS_BYTES),
            writable: true
        )
        try file.write(bytes, at: 0)
        let start = unsafe try writable().start
        let count = unsafe SharedWord<UInt32>(start + MemoryLayout<mlog_table>.offset(of: \.settings_bytes)!)
        count.store(UInt32(bytes.count))
    }

    // MARK: Under the table's lock

    /// Runs a change of the list while nobody else changes it.
    ///
    /// Who dies in one is followed by who finds what is still reserved, and removes it.
    ///
    /// - Throws: `writerStalled` when another process is at it for 10 s; what `body` throws.
    func change<Result>(_ body: (SegmentList) throws(LogError) -> Result) throws(LogError) -> Result {
        let lock = try lockForChange()
        defer { withExtendedLifetime(lock) {} }
        guard isCurrent else { throw gone(.identifierRemoved, "shmctl(2)") }
        let list = SegmentList(self, try writable())
        list.removeReserved()
        return try body(list)
    }

    /// The table's lock, held until the object goes.
    func lockForChange() throws(LogError) -> SemaphoreLocks {
        let locks = SemaphoreLocks(try semaphores(), first: CInt(MLOG_SEMAPHORE_TABLE))
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do throws(Errno) { if try locks.tryLock(F_WRLCK, byte: 0) { return locks } } catch {
                throw SystemV.isGone(error) ? .goneSemaphores(path) : .system(error, "semop(2)", file: path)
            }
            guard ContinuousClock.now < deadline else {
                throw LogError(
                    .writerStalled,
                    file: path,
                    expected: "nobody else who changes the table within 10 s",
                    found: "somebody",
                    advice: "find the stopped or traced writer and continue or kill it"
                )
            }
            usleep(200)
        }
    }

    /// The list as it is; a look.
    var list: SegmentList { SegmentList(self, reading) }

    /// What a failure to reach the table, or a segment of its list, means.
    func gone(_ errno: Errno, _ call: String) -> LogError {
        guard SystemV.isGone(errno) else { return .system(errno, call, file: path) }
        return LogError(
            .moved,
            file: path,
            expected: "the shared memory that was opened",
            found: "it is removed",
            advice: "close the log; what has it attached keeps it until then"
        )
    }
}

extension LogError {
    /// Somebody took the locks away (ipcrm(1), `RemoveIPC` of logind.conf(5)).
    static func goneSemaphores(_ path: FilePath) -> LogError {
        LogError(
            .moved,
            file: path,
            expected: "the log's semaphores",
            found: "they are removed",
            advice: "close the log in all processes, save it with `mlog snapshot`, and remove it with `mlog destroy`"
        )
    }
}
