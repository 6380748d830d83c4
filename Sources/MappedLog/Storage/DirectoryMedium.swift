internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A log whose segments are files of one directory: on a disk, or in the memory that `/dev/shm` is.
///
/// What the members do that every such log has in common is said by the extensions.
protocol DirectoryMedium: Medium {
    /// Which directory this is, whatever its path leads to by now; nil before creation.
    var identity: DirectoryIdentity? { get }

    /// An allocated file, all zeros, without a name or with a temporary one.
    func makeUnpublished(byteCount: UInt64) throws(LogError) -> (OpenFile, FilePath?)
    /// A segment that was just opened by its name; false: it isn't the segment of that name any more.
    func admit(_ segment: OpenFile) throws(LogError) -> Bool
    /// Takes the name of a segment away.
    func removeFile(_ path: FilePath) throws(LogError)
}

struct DirectoryIdentity: Hashable, Sendable {
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

    init(_ status: stat) {
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}

extension DirectoryMedium {
    var bound: Int? { nil }

    /// Before a name is made, taken or relied on: at this path there may be another log by now.
    func checkIdentity() throws(LogError) {
        guard let identity, try DirectoryIdentity(path) != identity else { return }
        throw LogError(
            .moved,
            file: path,
            expected: "the directory that was opened",
            found: "another one",
            advice: "close the log and open it where it is now"
        )
    }

    var liveDirectory: FilePath { path.appending("live") }
    var tailersDirectory: FilePath { path.appending("tailers") }
    var lostAndFound: FilePath { path.appending("lost+found") }
    var settingsPath: FilePath { path.appending("options.json") }

    /// A name in one of the log's own directories, which is no symbolic link: whoever made that could have anything
    /// written or removed in another place.
    func entry(_ name: String, of directory: FilePath) throws(LogError) -> FilePath {
        try checkNoLink(directory)
        return directory.appending(name)
    }

    /// - Throws: `damaged` where something else than a directory is there; where nothing is, the next call says so.
    func checkNoLink(_ directory: FilePath) throws(LogError) {
        let kind: mode_t
        do throws(Errno) { kind = try SystemCall.statusOfName(directory).st_mode & S_IFMT } catch {
            if [.noSuchFileOrDirectory, .notDirectory].contains(error) { return }
            throw .system(error, "lstat(2)", file: directory)
        }
        if kind == S_IFDIR { return }
        throw LogError(
            .damaged,
            file: directory,
            expected: "a directory",
            found: kind == S_IFLNK ? "a symbolic link" : "something else",
            advice: "put the directory itself there; only the path of the log may lead over symbolic links"
        )
    }

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
        while let file = try openIfPresent(segmentPath(base), writable ? O_RDWR : O_RDONLY) {
            if try admit(file) { return file }
        }
        return nil
    }

    func admit(_ segment: OpenFile) throws(LogError) -> Bool { true }

    func openCompacted(_ base: UInt64) throws(LogError) -> OpenFile? {
        try openIfPresent(path(of: .compacted(base)), O_RDONLY)
    }

    func publishSegment(
        _ base: UInt64,
        header: [UInt8],
        byteCount: UInt64,
        namesAreDurable: Bool
    ) throws(LogError) -> Bool {
        try checkIdentity()
        let (file, temporary) = try makeUnpublished(byteCount: byteCount)
        defer { if let temporary { try? SystemCall.unlink(temporary) } }
        try file.write(header, at: 0)
        try file.flush()
        // The name before this one may be somebody else's, who has yet to flush it: without it this one is behind a hole.
        if !namesAreDurable { try flushDirectory() }
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
        try openDirectory()?.flush()
    }

    func openDirectory() throws(LogError) -> OpenFile? {
        try checkIdentity()
        return try OpenFile(path, O_RDONLY | O_DIRECTORY)
    }

    func makeUnpublished(byteCount: UInt64) throws(LogError) -> (OpenFile, FilePath?) {
        try allocateUnpublished(byteCount: byteCount)
    }

    /// An allocated file without a name (`O_TMPFILE`), or, where the file system has no such thing, with a temporary
    /// one.
    func allocateUnpublished(byteCount: UInt64) throws(LogError) -> (OpenFile, FilePath?) {
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

    func temporaryPath() -> FilePath {
        path.appending(".tmp-" + UInt64.random(in: .min ... .max).hexadecimal(digits: 16))
    }

    func removeUnpublished() throws(LogError) {
        // A compactor may be at work beside the writers: what it leaves is the next compactor's matter.
        for name in try names(in: path) where name.hasPrefix(".tmp-") && !name.hasPrefix(Self.compactionPrefix) {
            try unlink(path.appending(name))
        }
    }

    func removeFile(_ path: FilePath) throws(LogError) { try unlink(path) }

    func unlink(_ path: FilePath) throws(LogError) {
        do throws(Errno) { try SystemCall.unlink(path) } catch { throw .system(error, "unlink(2)", file: path) }
    }

    // MARK: Small parts

    func openIfPresent(_ file: FilePath, _ flags: CInt, closedInChildren: Bool = false) throws(LogError) -> OpenFile? {
        do throws(LogError) {
            return try OpenFile(file, flags | O_NOFOLLOW, closedInChildren: closedInChildren)
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
