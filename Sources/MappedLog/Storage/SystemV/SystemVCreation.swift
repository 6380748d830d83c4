internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Makes a log in System V shared memory; it is complete, or not at all.
struct SystemVCreation {
    private let location: LogLocation
    private let path: FilePath
    private let key: Int32
    private let id: LogID
    private let settings: LogSettings
    private let timeout: Duration

    /// How long a table has to be left alone by everybody before its creator counts as dead.
    private static let grace = Duration.milliseconds(300)

    init(_ key: SystemVKey, _ id: LogID, _ settings: LogSettings, timeout: Duration) throws(LogError) {
        location = .systemV(key)
        path = location.path
        self.key = try key.number()
        self.id = id
        self.settings = settings
        self.timeout = timeout
    }

    /// - Returns: False when there is a complete log already.
    func run() throws(LogError) -> Bool {
        let deadline = ContinuousClock.now + timeout
        var alone: (id: CInt, since: ContinuousClock.Instant)?
        while true {
            let made = mlog_shm_make(key, UInt64(MLOG_TABLE_BYTES), 0o600)
            if made >= 0 {
                if try make(made) { return true }
                continue
            }
            guard made == -EEXIST else {
                throw SystemV.failure(
                    Errno(rawValue: -made),
                    "shmget(2)",
                    file: path,
                    byteCount: UInt64(MLOG_TABLE_BYTES)
                )
            }
            let (id, attached): (CInt, UInt64)
            switch try SystemVFinding(key, path: path) {
            case .nothing: continue
            case .table(let table, _) where table.isComplete: return false
            case .table(let table, let count): (id, attached) = (table.id, count)
            case .blank(let blank, let count): (id, attached) = (blank, count)
            }
            // Another creator has it attached, or is about to; one that died has not.
            if attached > 0 || alone?.id != id { alone = attached > 0 ? nil : (id, .now) }
            if let alone, .now - alone.since >= Self.grace {
                try SystemVRemoval(key, path).run()
                continue
            }
            guard ContinuousClock.now < deadline else {
                throw LogError(
                    .recovering,
                    file: path,
                    expected: "its creation to end within \(timeout)",
                    found: "it goes on",
                    advice: "wait for the other process, or find out why it does not go on"
                )
            }
            usleep(2000)
        }
    }

    /// False: somebody took this creator for dead, and removed the table.
    private func make(_ id: CInt) throws(LogError) -> Bool {
        let segment: AttachedSegment
        do throws(Errno) { segment = try AttachedSegment(id, isWritable: true) } catch  where SystemV.isGone(error) {
            return false
        } catch {
            _ = mlog_shm_remove(id)
            throw .system(error, "shmat(2)", file: path)
        }
        do throws(LogError) {
            let table = SystemVTable(segment, key: key, path: path)
            try fill(table, segment)
            guard table.isCurrent else {
                try? SystemVRemoval(table, path).run()
                return false
            }
            try table.storeMagic(MLOG_TABLE_MAGIC)
            return true
        } catch {
            try? SystemVRemoval(SystemVTable(segment, key: key, path: path), path).run()
            throw error
        }
    }

    private func fill(_ table: SystemVTable, _ segment: AttachedSegment) throws(LogError) {
        let header = unsafe segment.start.assumingMemoryBound(to: mlog_table.self)
        unsafe header.pointee.claim = MLOG_TABLE_CLAIM
        unsafe header.pointee.layout_version = UInt32(MLOG_TABLE_LAYOUT)
        unsafe header.pointee.segment_bytes = settings.segmentSize
        unsafe withUnsafeMutableBytes(of: &header.pointee.log_id) { unsafe $0.copyBytes(from: id.bytes) }
        while true {
            unsafe header.pointee.semaphores_key = SystemV.randomKey()
            do throws(Errno) {
                _ = try SystemV.check(mlog_sem_make(table.header.semaphores_key, CInt(MLOG_SEMAPHORES), 0o600))
                break
            } catch .fileExists {
                continue
            } catch {
                unsafe header.pointee.semaphores_key = 0
                throw SystemV.failure(error, "semget(2)", file: path)
            }
        }
        try table.store(settings: settings.encoded())
        let medium = SystemVMedium(location: location, table: table, bound: nil)
        let geometry = SegmentGeometry(segmentSize: settings.segmentSize)
        try LogPlace(medium: medium, id: id, geometry: geometry).publishFirstSegment()
    }
}

/// Removes a log from System V shared memory, whatever is left of it: its segments, its semaphores, and last the table,
/// without which nobody would find the rest.
///
/// A writer that was forced out may be making a segment. So this waits for the table's lock, and looks at the list once
/// more when the table is gone: who is as far by then finds that it is, and removes what it made.
struct SystemVRemoval {
    private let table: SystemVTable?
    private let blank: CInt?
    private let path: FilePath

    init(_ table: SystemVTable, _ path: FilePath) {
        self.table = table
        blank = nil
        self.path = path
    }

    /// - Throws: As ``SystemVFinding``.
    init(_ key: Int32, _ path: FilePath) throws(LogError) {
        self.path = path
        switch try SystemVFinding(key, path: path) {
        case .nothing: (table, blank) = (nil, nil)
        case .table(let table, _): (self.table, blank) = (table, nil)
        case .blank(let id, _): (table, blank) = (nil, id)
        }
    }

    func run() throws(LogError) {
        if let blank { return try remove(blank) }
        guard let table else { return }
        try table.storeMagic(0)
        let list = SegmentList(table, try table.writable())
        // Who keeps the lock for long is stopped; a set that was never made, or is removed, guards nothing.
        let lock = try? table.lockForChange()
        defer { withExtendedLifetime(lock) {} }
        list.removeAll()
        let set = table.header.semaphores_key == 0 ? -1 : mlog_sem_find(table.header.semaphores_key)
        if set >= 0 { _ = mlog_sem_remove(set) }
        try remove(table.id)
        list.removeAll()
    }

    private func remove(_ id: CInt) throws(LogError) {
        let status = mlog_shm_remove(id)
        if status < 0, !SystemV.isGone(Errno(rawValue: -status)) {
            throw .system(Errno(rawValue: -status), "shmctl(2), IPC_RMID", file: path)
        }
    }
}
