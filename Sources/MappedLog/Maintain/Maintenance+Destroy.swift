internal import SystemPackage

extension Maintenance {
    /// Removes a log, with everything in it.
    ///
    /// Whoever has a segment mapped keeps it until it lets go. Of a log in memory also what an interrupted creation
    /// left, or an earlier boot, is removed. Interrupted, it may be run again.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - isForced: Whether to remove it even while writers are alive; they find it gone (`moved`).
    /// - Throws: `writersAlive`; `notFound`, `notALog`, and in a directory `damaged`, with everything left as it is;
    ///   `occupied` where the name or
    ///   key is taken by something that is no log of this user; `recovering` where another process takes too long to
    ///   open or close the log; `notEmpty` where other things stand in the directory, which stays with them;
    ///   `permissionDenied`, `io`.
    public static func destroy(at location: LogLocation, isForced: Bool = false) throws(LogError) {
        try ForkGuard.refuseForkedChild()
        switch location {
        case .file(let path):
            // What isn't surely a log stays.
            _ = try LogPlace(reading: location)
            try destroy(FileMedium(path: path, permissions: LogOptions().permissions), isForced)
        case .sharedMemory:
            guard let medium = try LogPlace.unreadMedium(location) as? SharedMemoryMedium else { return }
            try destroy(medium, isForced)
        case .systemV(let key): try destroy(location, key.number(), isForced)
        }
    }

    private static func destroy(_ location: LogLocation, _ key: Int32, _ isForced: Bool) throws(LogError) {
        var lock: WriterLock?
        defer { withExtendedLifetime(lock) {} }
        switch try SystemVFinding(key, path: location.path) {
        case .nothing: _ = try LogPlace.unreadMedium(location)
        case .blank: break
        case .table(let table, _):
            // An interrupted creation may have made none; what was removed from outside guards nothing.
            if let file = try? table.lockFile() {
                let found = WriterLock(file)
                lock = found
                try refuseWriters(found, location.path, isForced)
            }
        }
        try SystemVRemoval(key, location.path).run()
    }

    private static func destroy(_ medium: some DirectoryMedium, _ isForced: Bool) throws(LogError) {
        var lock: WriterLock?
        do throws(LogError) {
            let found = try medium.openLock()
            lock = found
            try refuseWriters(found, medium.path, isForced)
        } catch  where error.isAbsence {
            // A creation that came no further.
        }
        defer { withExtendedLifetime(lock) {} }
        try medium.destroy()
    }

    /// - Throws: `writersAlive`, or `recovering` where somebody is about to be one; never when forced.
    static func refuseWriters(_ lock: WriterLock, _ path: FilePath, _ isForced: Bool) throws(LogError) {
        if isForced { return }
        try lock.lockGate(timeout: OpenOptions().recoveryTimeout)
        guard try lock.tryBecomeOnlyWriter() else {
            throw LogError(
                .writersAlive,
                file: path,
                expected: "no writers",
                found: "some",
                advice: "close the log in all processes that write to it, or force it: they find it gone"
            )
        }
    }
}

extension DirectoryMedium {
    /// Removes the files of the log, and then its directories: first of all it is no log any more.
    ///
    /// A writer that was forced out may be making a file: what came meanwhile is removed, too.
    fileprivate func destroy() throws(LogError) {
        for directory in [tailersDirectory, lostAndFound, liveDirectory] { try checkNoLink(directory) }
        try unlinkIfPresent(settingsPath)
        var attempts = 0
        while true {
            for name in try names(in: path) where SegmentName(name) != nil || name.hasPrefix(".tmp-") {
                try unlinkIfPresent(path.appending(name))
            }
            for directory in [tailersDirectory, lostAndFound, liveDirectory] {
                try checkNoLink(directory)
                do throws(LogError) {
                    for name in try names(in: directory) { try unlinkIfPresent(directory.appending(name)) }
                    try removeDirectory(directory)
                } catch  where error.isAbsence || error.errno == .directoryNotEmpty {
                    continue
                }
            }
            attempts += 1
            do throws(LogError) { return try removeDirectory(path) } catch {
                guard error.errno == .directoryNotEmpty else { throw error }
                if attempts < 100 { continue }
                throw LogError(
                    .notEmpty,
                    file: path,
                    expected: "what belongs to the log",
                    found: "something else too",
                    advice: "the log is gone; look at what is left there"
                )
            }
        }
    }

    private func unlinkIfPresent(_ file: FilePath) throws(LogError) {
        do throws(LogError) { try unlink(file) } catch  where error.isAbsence { return }
    }

    private func removeDirectory(_ directory: FilePath) throws(LogError) {
        do throws(Errno) { try SystemCall.removeDirectory(directory) } catch {
            throw .system(error, "rmdir(2)", file: directory)
        }
    }
}
