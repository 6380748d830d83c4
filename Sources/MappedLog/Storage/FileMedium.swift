internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A log in a directory of a local file system.
struct FileMedium: Medium {
    let path: FilePath
    let permissions: FilePermissions
    /// Which directory this is, whatever its path leads to by now; nil before creation.
    var identity: Identity?

    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64

        init(_ path: FilePath) throws(LogError) {
            do throws(Errno) {
                let status = try SystemCall.status(path)
                (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
            } catch {
                throw .system(error, "stat(2)", file: path)
            }
        }
    }

    init(path: FilePath, permissions: FilePermissions, identity: Identity? = nil) {
        self.path = path
        self.permissions = permissions
        self.identity = identity
    }

    /// Before a name is made, taken or relied on: at this path there may be another log by now.
    func checkIdentity() throws(LogError) {
        guard let identity, try Identity(path) != identity else { return }
        throw LogError(
            .moved,
            file: path,
            expected: "the directory that was opened",
            found: "another one",
            advice: "close the log and open it where it is now"
        )
    }

    var name: String { "file" }

    var liveDirectory: FilePath { path.appending("live") }
    var tailersDirectory: FilePath { path.appending("tailers") }
    var lostAndFound: FilePath { path.appending("lost+found") }
    var settingsPath: FilePath { path.appending("options.json") }

    /// Modes of files and directories that only those who may write may open.
    var writersMode: FilePermissions {
        let writers: [(FilePermissions, FilePermissions)] = [
            (.ownerWrite, .ownerReadWrite), (.groupWrite, .groupReadWrite), (.otherWrite, .otherReadWrite),
        ]
        return writers.reduce(into: []) { if permissions.contains($1.0) { $0.formUnion($1.1) } }
    }
    func directoryMode(_ mode: FilePermissions) -> FilePermissions {
        let searchers: [(FilePermissions, FilePermissions)] = [
            (.ownerRead, .ownerExecute), (.groupRead, .groupExecute), (.otherRead, .otherExecute),
        ]
        return searchers.reduce(into: mode) { if mode.contains($1.0) { $0.formUnion($1.1) } }
    }

    func segmentPath(_ base: UInt64) -> FilePath {
        path.appending(base.hexadecimal(digits: 16) + ".mlog")
    }

    // MARK: Segments

    func listSegments() throws(LogError) -> [SegmentName] {
        try names(in: path).compactMap { SegmentName($0) }.sorted { ($0.base, $0.rank) < ($1.base, $1.rank) }
    }

    func openSegment(_ base: UInt64, writable: Bool) throws(LogError) -> OpenFile? {
        if writable { try checkIdentity() }
        return try openIfPresent(segmentPath(base), writable ? O_RDWR : O_RDONLY)
    }

    func openCompacted(_ base: UInt64) throws(LogError) -> OpenFile? {
        try openIfPresent(path(of: .compacted(base)), O_RDONLY)
    }

    func publishSegment(
        _ base: UInt64,
        header: [UInt8],
        byteCount: UInt64,
        withZeros: Bool
    ) throws(LogError) -> Bool {
        try checkIdentity()
        let (file, temporary) = try makeUnpublished(byteCount: byteCount)
        defer { if let temporary { try? SystemCall.unlink(temporary) } }
        if withZeros { try file.zeroPageByPage(byteCount) }
        try file.write(header, at: 0)
        try file.flush()
        do throws(Errno) {
            if let temporary {
                try SystemCall.link(temporary, to: segmentPath(base))
            } else {
                try SystemCall.linkUnnamed(file.descriptor, to: segmentPath(base))
            }
        } catch .fileExists {
            return false
        } catch {
            throw .system(error, "link(2)", file: segmentPath(base))
        }
        try flushDirectory()
        return true
    }

    func replaceSegment(
        _ base: UInt64,
        byteCount: UInt64,
        fill: (OpenFile) throws(LogError) -> Void
    ) throws(LogError) {
        let temporary = temporaryPath()
        let file = try OpenFile(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        do throws(LogError) {
            try file.changeMode(permissions.rawValue)
            try file.allocate(byteCount)
            try fill(file)
            try file.flush()
            try rename(temporary, to: segmentPath(base))
        } catch {
            try? SystemCall.unlink(temporary)
            throw error
        }
    }

    func flushDirectory() throws(LogError) {
        try checkIdentity()
        try OpenFile(path, O_RDONLY | O_DIRECTORY).flush()
    }

    /// An allocated file without a name (`O_TMPFILE`), or, where the file system has no such thing, with a temporary
    /// one.
    private func makeUnpublished(byteCount: UInt64) throws(LogError) -> (OpenFile, FilePath?) {
        var temporary: FilePath?
        var file: OpenFile
        do throws(LogError) {
            file = try OpenFile(path, mlog_o_tmpfile | O_RDWR, mode: 0o600)
        } catch
            where error.errno == .notSupportedOnSocket || error.errno == .isDirectory
            || error.errno == .noSuchFileOrDirectory
        {
            let name = temporaryPath()
            temporary = name
            file = try OpenFile(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        }
        do throws(LogError) {
            try file.changeMode(permissions.rawValue)
            try file.allocate(byteCount)
        } catch {
            if let temporary { try? SystemCall.unlink(temporary) }
            throw error
        }
        return (file, temporary)
    }

    private func temporaryPath() -> FilePath {
        path.appending(".tmp-" + UInt64.random(in: .min ... .max).hexadecimal(digits: 16))
    }

    func removeUnpublished() throws(LogError) {
        // A compactor may be at work beside the writers: what it leaves is the next compactor's matter.
        for name in try names(in: path) where name.hasPrefix(".tmp-") && !name.hasPrefix(Self.compactionPrefix) {
            do throws(Errno) { try SystemCall.unlink(path.appending(name)) } catch {
                throw .system(error, "unlink(2)", file: path.appending(name))
            }
        }
    }

    // MARK: lost+found

    func setAsideSegment(_ form: SegmentName) throws(LogError) -> FilePath {
        try checkIdentity()
        let source = path(of: form)
        for copy in 0... {
            let target = lostAndFound.appending(source.lastComponent!.string + (copy == 0 ? "" : ".\(copy)"))
            do throws(Errno) {
                try SystemCall.renameWithoutReplacing(source, to: target)
            } catch .fileExists {
                continue
            } catch {
                throw .system(error, "renameat2(2)", file: source)
            }
            try OpenFile(lostAndFound, O_RDONLY | O_DIRECTORY).flush()
            try flushDirectory()
            return target
        }
        fatalError("unreachable: the loop has no end")
    }

    func setAside(_ file: OpenFile, _ range: Range<UInt64>, position: UInt64) throws(LogError) -> FilePath {
        let name = position.hexadecimal(digits: 16) + ".cut"
        for copy in 0... {
            let target = lostAndFound.appending(name + (copy == 0 ? "" : ".\(copy)"))
            let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
            let kept: OpenFile
            do throws(LogError) {
                kept = try OpenFile(target, flags, mode: 0o600)
            } catch  where error.errno == .fileExists {
                // A recovery that was interrupted kept these very bytes already.
                if try Self.equal(file, range, target) { return target }
                continue
            }
            try kept.changeMode(permissions.rawValue)
            try Self.copy(file, range, to: kept)
            try kept.flush()
            try OpenFile(lostAndFound, O_RDONLY | O_DIRECTORY).flush()
            return target
        }
        fatalError("unreachable: the loop has no end")
    }

    private static func copy(_ source: OpenFile, _ range: Range<UInt64>, to target: OpenFile) throws(LogError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(min(UInt64(buffer.count), range.upperBound - offset))]
            )
            // What is set aside may be what the disk can't read.
            let (count, _) = unsafe source.readWhatCanBeRead(into: piece, at: offset)
            if count == 0 { return }
            try unsafe target.write(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]),
                at: offset - range.lowerBound
            )
            offset += UInt64(count)
        }
    }

    private static func equal(_ source: OpenFile, _ range: Range<UInt64>, _ kept: FilePath) throws(LogError) -> Bool {
        let other = try OpenFile(kept, O_RDONLY | O_NOFOLLOW)
        guard other.byteCount == UInt64(range.count) else { return false }
        var offset: UInt64 = 0
        while offset < other.byteCount {
            let count = Int(min(1 << 20, other.byteCount - offset))
            let left = try source.read(count, at: range.lowerBound + offset)
            let right = try other.read(count, at: offset)
            if left.isEmpty || left != right { return false }
            offset += UInt64(count)
        }
        return true
    }

    // MARK: The running system

    func openControl(writable: Bool) throws(LogError) -> OpenFile? {
        try openLive("control", mode: permissions, byteCount: UInt64(MLOG_CONTROL_BYTES), writable: writable)
    }

    func openWaiters() throws(LogError) -> OpenFile? {
        do throws(LogError) {
            return try openIfPresent(liveDirectory.appending("waiters"), O_RDWR)
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
        let file = liveDirectory.appending(name)
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
        let file = liveDirectory.appending("lock")
        let opened = try OpenFile(file, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        if opened.byteCount == 0 {
            try opened.changeMode(writersMode.rawValue)
            try opened.allocate(16)
        }
        return try WriterLock(opened)
    }

    func writersAlive() -> WritersAlive? {
        WritersAlive(lockFile: liveDirectory.appending("lock"))
    }

    // MARK: Settings and named tailers

    func readSettings() throws(LogError) -> LogSettings {
        try LogSettings(contentsOf: settingsPath)
    }

    func namedTailerNames() throws(LogError) -> [String] {
        do throws(LogError) {
            return try names(in: tailersDirectory).filter { NamedTailerFile.isValidName($0) }.sorted()
        } catch  where error.errno == .noSuchFileOrDirectory {
            return []
        }
    }

    func openNamedTailer(_ name: String, create: Bool, writable: Bool) throws(LogError) -> OpenFile? {
        let file = tailersDirectory.appending(name)
        guard create else { return try openIfPresent(file, writable ? O_RDWR : O_RDONLY) }
        let opened = try OpenFile(file, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        if opened.byteCount == 0 {
            try opened.changeMode(permissions.rawValue)
            try opened.allocate(UInt64(MLOG_TAILER_FILE_BYTES))
            try OpenFile(tailersDirectory, O_RDONLY | O_DIRECTORY).flush()
        }
        return opened
    }

    func removeNamedTailer(_ name: String) throws(LogError) {
        let file = tailersDirectory.appending(name)
        do throws(Errno) { try SystemCall.unlink(file) } catch {
            throw .system(error, "unlink(2)", file: file)
        }
        try OpenFile(tailersDirectory, O_RDONLY | O_DIRECTORY).flush()
    }

    // MARK: Creation

    /// Whether the creation of a log was finished here.
    var isComplete: Bool { (try? SystemCall.status(settingsPath)) != nil }

    /// Mappings of a file are shared only within one machine.
    static func refuseNetworkFileSystem(_ path: FilePath) throws(LogError) {
        let directory: OpenFile
        do throws(LogError) { directory = try OpenFile(path, O_RDONLY | O_DIRECTORY) } catch  where error.isAbsence {
            let isFile = error.errno == .notDirectory
            throw LogError(
                isFile ? .notALog : .notFound,
                file: path,
                expected: "a directory",
                found: isFile ? "something else" : "nothing",
                advice: "check the path, or make a log with `mlog create`"
            )
        }
        let type = mlog_filesystem_type(directory.descriptor)
        if let name = networkFileSystems[type] {
            throw LogError(
                .networkFileSystem,
                file: path,
                expected: "a local file system",
                found: name,
                advice: "put the log on a local disk; ship records, not mappings, to other machines"
            )
        }
    }

    /// By the magic numbers of statfs(2).
    ///
    /// What is behind FUSE can't be known; it doesn't share mappings reliably.
    static let networkFileSystems: [Int64: String] = [
        0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x00C3_6400: "Ceph",
        0x0102_1997: "9P", 0x5346_414F: "AFS", 0x6B41_4653: "AFS", 0x7375_7245: "Coda", 0x4750_4653: "GPFS",
        0x0BD0_0BD0: "Lustre", 0x6573_5546: "FUSE", 0x564C: "NCP",
    ]

    /// Makes the directories.
    ///
    /// What is there of an unfinished creation is taken over.
    func makeDirectories() throws(LogError) {
        try makeDirectory(path, directoryMode(permissions))
        try makeDirectory(liveDirectory, directoryMode(permissions))
        try makeDirectory(tailersDirectory, directoryMode(permissions))
        try makeDirectory(lostAndFound, directoryMode(permissions))
    }

    func makeDirectory(_ directory: FilePath, _ mode: FilePermissions) throws(LogError) {
        do throws(Errno) {
            try SystemCall.makeDirectory(directory, mode: 0o700)
        } catch .fileExists {
            return
        } catch {
            throw .system(error, "mkdir(2)", file: directory)
        }
        try OpenFile(directory, O_RDONLY | O_DIRECTORY).changeMode(mode.rawValue)
    }

    /// Writes `options.json`, last of all: it says that the log is complete.
    func publishSettings(_ settings: LogSettings) throws(LogError) {
        let temporary = temporaryPath()
        let file = try OpenFile(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        try file.changeMode(permissions.rawValue)
        try file.write(settings.encoded(), at: 0)
        try file.flush()
        try rename(temporary, to: settingsPath)
        try flushDirectory()
        try OpenFile(path.removingLastComponent().orCurrent, O_RDONLY | O_DIRECTORY).flush()
    }

    // MARK: Small parts

    func openIfPresent(_ file: FilePath, _ flags: CInt) throws(LogError) -> OpenFile? {
        do throws(LogError) {
            return try OpenFile(file, flags | O_NOFOLLOW)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    func rename(_ source: FilePath, to target: FilePath) throws(LogError) {
        do throws(Errno) { try SystemCall.rename(source, to: target) } catch {
            throw .system(error, "rename(2)", file: target)
        }
    }

    func names(in directory: FilePath) throws(LogError) -> [String] {
        do throws(Errno) { return try SystemCall.names(in: directory) } catch {
            throw .system(error, "readdir(3)", file: directory)
        }
    }
}

extension FilePath {
    /// `.` where removing the last component left nothing.
    fileprivate var orCurrent: FilePath { isEmpty ? "." : self }
}
