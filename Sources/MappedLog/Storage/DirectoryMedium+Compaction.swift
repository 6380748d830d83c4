internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension DirectoryMedium {
    /// What the name of a file that isn't finished begins with.
    static var compactionPrefix: String { ".tmp-compact-" }

    func publish(
        _ form: SegmentName,
        fill: (OpenFile) throws(LogError) -> Void,
        check: (OpenFile) throws(LogError) -> Void
    ) throws(LogError) {
        try checkIdentity()
        let temporary = path.appending(
            Self.compactionPrefix + UInt64.random(in: .min ... .max).hexadecimal(digits: 16)
        )
        let file = try OpenFile(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        do throws(LogError) {
            try file.changeMode(permissions.rawValue)
            try fill(file)
            try file.flush()
            // Opened anew: its size is known only now.
            try check(try OpenFile(temporary, O_RDONLY | O_NOFOLLOW))
            try rename(temporary, to: path(of: form))
        } catch {
            try? SystemCall.unlink(temporary)
            throw error
        }
        try flushDirectory()
    }

    func remove(_ form: SegmentName) throws(LogError) {
        try checkIdentity()
        try removeFile(path(of: form))
        try flushDirectory()
    }

    func byteCount(of form: SegmentName) throws(LogError) -> UInt64 {
        do throws(Errno) { return UInt64(try SystemCall.status(path(of: form)).st_size) } catch {
            throw .system(error, "stat(2)", file: path(of: form))
        }
    }

    func removeUnfinishedCompactions() throws(LogError) -> Int {
        var count = 0
        for name in try names(in: path) where name.hasPrefix(Self.compactionPrefix) {
            do throws(Errno) { try SystemCall.unlink(path.appending(name)) } catch .isDirectory {
                // No compactor made it.
                continue
            } catch .noSuchFileOrDirectory {
                continue
            } catch {
                throw .system(error, "unlink(2)", file: path.appending(name))
            }
            count += 1
        }
        return count
    }

    func path(of form: SegmentName) -> FilePath {
        switch form {
        case .raw(let base): segmentPath(base)
        case .compacted(let base): path.appending(base.hexadecimal(digits: 16) + ".mlog.lz4")
        case .unsupported(_, let name): path.appending(name)
        }
    }
}
