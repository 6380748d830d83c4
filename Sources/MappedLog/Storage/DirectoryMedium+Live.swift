internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The running system, settings and named tailers.
extension DirectoryMedium {
    func openControl(writable: Bool) throws(LogError) -> OpenFile? {
        try openLive("control", mode: permissions, byteCount: UInt64(MLOG_CONTROL_BYTES), writable: writable)
    }

    func openWaiters() throws(LogError) -> OpenFile? {
        do throws(LogError) {
            return try openIfPresent(entry("waiters", of: liveDirectory), O_RDWR)
        } catch  where error.code == .permissionDenied {
            return nil
        }
    }

    /// Opens a file of `live/`; for a writer, makes it if it isn't there and gives it blocks for its whole size.
    ///
    /// Never replaced: who has it open would be left behind.
    private func openLive(
        _ name: String,
        mode: FilePermissions,
        byteCount: UInt64,
        writable: Bool
    ) throws(LogError) -> OpenFile? {
        let file = try entry(name, of: liveDirectory)
        guard writable else {
            guard let opened = try openIfPresent(file, O_RDONLY), opened.byteCount >= byteCount else { return nil }
            return opened
        }
        let opened = try OpenFile(file, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        let isNew = opened.byteCount < byteCount
        if isNew { try opened.changeMode(mode.rawValue) }
        // Of an old one too: a copy may have holes, and a store into one would be SIGBUS on a full disk.
        try opened.allocate(byteCount)
        if isNew { try opened.flush() }
        return opened
    }

    func openLock() throws(LogError) -> WriterLock {
        _ = try openLive("waiters", mode: writersMode, byteCount: UInt64(MLOG_WAITERS_BYTES), writable: true)
        let file = try entry("lock", of: liveDirectory)
        let opened = try OpenFile(file, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, closedInChildren: true)
        if opened.byteCount == 0 {
            try opened.changeMode(writersMode.rawValue)
            try opened.allocate(16)
        }
        return WriterLock(opened)
    }

    func writersAlive() -> WritersAlive? {
        WritersAlive(lockFile: liveDirectory.appending("lock"))
    }

    func hasWriters() throws(LogError) -> Bool {
        let lock: OpenFile
        do throws(LogError) { lock = try OpenFile(entry("lock", of: liveDirectory), O_RDONLY | O_NOFOLLOW) } catch {
            // Without the file nobody can have locked it.
            if error.isAbsence { return false }
            throw error
        }
        return try lock.isShared(byte: CInt(MLOG_LOCK_WRITER))
    }

    /// What stands in the place of a file of `live/` and is none, with the error that says so.
    ///
    /// A look that opens nothing: who may not open them sees it too.
    func strangersInLive() -> [LogError] {
        ["control", "lock", "waiters"].compactMap { name in
            let file = liveDirectory.appending(name)
            guard let kind = try? SystemCall.statusOfName(file).st_mode & S_IFMT, kind != S_IFREG else { return nil }
            let found = kind == S_IFLNK ? "a symbolic link" : kind == S_IFDIR ? "a directory" : "something else"
            return OpenFile.notAFile(file, found: found)
        }
    }

    // MARK: Settings and named tailers

    func settingsBytes() throws(LogError) -> [UInt8] {
        let file: OpenFile
        do throws(LogError) { file = try OpenFile(settingsPath, O_RDONLY | O_NOFOLLOW) } catch  where error.isAbsence {
            throw LogError(
                .notALog,
                file: path,
                expected: "a directory with options.json",
                found: "none",
                advice: "check the path, or make a log with `mlog create`"
            )
        }
        return try file.read(Int(min(file.byteCount, 1 << 20)), at: 0)
    }

    func namedTailerNames() throws(LogError) -> [String] {
        try checkNoLink(tailersDirectory)
        do throws(LogError) {
            return try names(in: tailersDirectory).filter { NamedTailerFile.isValidName($0) }.sorted()
        } catch  where error.errno == .noSuchFileOrDirectory {
            return []
        }
    }

    func openNamedTailer(_ name: String, create: Bool, writable: Bool) throws(LogError) -> OpenFile? {
        let file = try entry(name, of: tailersDirectory)
        guard create else {
            return try openIfPresent(file, writable ? O_RDWR : O_RDONLY, closedInChildren: writable)
        }
        let opened = try OpenFile(file, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600, closedInChildren: true)
        if opened.byteCount == 0 {
            // Who may read it could lock it, and keep its owner out.
            try opened.changeMode(writersMode.rawValue)
            try opened.allocate(UInt64(MLOG_TAILER_FILE_BYTES))
            try OpenFile(tailersDirectory, O_RDONLY | O_DIRECTORY).flush()
        }
        return opened
    }

    func removeNamedTailer(_ name: String) throws(LogError) {
        let file = try entry(name, of: tailersDirectory)
        do throws(Errno) { try SystemCall.unlink(file) } catch {
            throw .system(error, "unlink(2)", file: file)
        }
        try OpenFile(tailersDirectory, O_RDONLY | O_DIRECTORY).flush()
    }
}
