internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The system calls of the library, each with its failure as an `Errno`.
enum SystemCall {
    static var lastError: Errno { Errno(rawValue: Glibc.errno) }

    /// `openat(2)` with a mode; `O_CLOEXEC` is always set.
    ///
    /// What forked children close is closed with `mlog_close_closing_in_children` only.
    static func open(
        _ path: FilePath,
        _ flags: CInt,
        mode: mode_t = 0,
        closedInChildren: Bool = false
    ) throws(Errno) -> CInt {
        let flags = flags | O_CLOEXEC
        let status = unsafe path.withPlatformString {
            closedInChildren
                ? unsafe mlog_open_closing_in_children($0, flags, mode)
                : unsafe mlog_openat(AT_FDCWD, $0, flags, mode)
        }
        return try check(status)
    }

    /// `getcwd(3)`; `.` where it has none.
    static var workingDirectory: FilePath {
        guard let text = unsafe getcwd(nil, 0) else { return "." }
        defer { unsafe free(text) }
        return unsafe FilePath(platformString: text)
    }

    /// `mkdir(2)`.
    static func makeDirectory(_ path: FilePath, mode: mode_t) throws(Errno) {
        guard unsafe path.withPlatformString({ unsafe mkdir($0, mode) }) == 0 else { throw lastError }
    }

    /// `fstat(2)`.
    static func status(_ descriptor: CInt) throws(Errno) -> stat {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw lastError }
        return status
    }

    /// `stat(2)`.
    static func status(_ path: FilePath) throws(Errno) -> stat {
        var status = stat()
        guard unsafe path.withPlatformString({ unsafe stat($0, &status) }) == 0 else { throw lastError }
        return status
    }

    /// `lstat(2)`: of a symbolic link itself.
    static func statusOfName(_ path: FilePath) throws(Errno) -> stat {
        var status = stat()
        guard unsafe path.withPlatformString({ unsafe lstat($0, &status) }) == 0 else { throw lastError }
        return status
    }

    /// `statvfs(3)`: the size of a file system, in bytes.
    static func fileSystemSize(_ path: FilePath) throws(Errno) -> UInt64 {
        var status = statvfs()
        guard unsafe path.withPlatformString({ unsafe statvfs($0, &status) }) == 0 else { throw lastError }
        return UInt64(status.f_blocks) &* UInt64(status.f_frsize)
    }

    /// `fchmod(2)`: exact, whatever the umask.
    static func changeMode(_ descriptor: CInt, _ mode: mode_t) throws(Errno) {
        guard fchmod(descriptor, mode) == 0 else { throw lastError }
    }

    /// `pread(2)`, all of it or up to the end of the file.
    static func read(_ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno)
        -> Int
    {
        var done = 0
        while done < buffer.count {
            let count = unsafe pread(
                descriptor,
                buffer.baseAddress! + done,
                buffer.count - done,
                off_t(offset) + off_t(done)
            )
            if count == 0 { break }
            if count < 0 {
                if Glibc.errno == EINTR { continue }
                throw lastError
            }
            done += count
        }
        return done
    }

    /// `pwrite(2)`, all of it.
    static func write(_ descriptor: CInt, _ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        var done = 0
        while done < buffer.count {
            let count = unsafe pwrite(
                descriptor,
                buffer.baseAddress! + done,
                buffer.count - done,
                off_t(offset) + off_t(done)
            )
            if count < 0 {
                if Glibc.errno == EINTR { continue }
                throw lastError
            }
            done += count
        }
    }

    /// `fallocate(2)`: blocks for `byteCount` bytes from the start, or an error.
    static func allocate(_ descriptor: CInt, _ byteCount: UInt64) throws(Errno) {
        _ = try check(mlog_fallocate(descriptor, byteCount))
    }

    /// `ftruncate(2)`.
    static func truncate(_ descriptor: CInt, _ byteCount: UInt64) throws(Errno) {
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw lastError }
    }

    /// `sync_file_range(2)`: the disk begins to write what is dirty in a range; nothing waits for it.
    static func writeOut(_ descriptor: CInt, _ range: Range<UInt64>) throws(Errno) {
        _ = try check(mlog_write_out(descriptor, range.lowerBound, UInt64(range.count)))
    }

    static func beginFlush(_ descriptor: CInt, _ range: Range<UInt64>) throws(Errno) {
        _ = try check(mlog_begin_flush(descriptor, range.lowerBound, UInt64(range.count)))
    }

    /// To the same offsets: `copy_file_range(2)`, else and where blocks may not be shared by reading and writing.
    static func copy(
        _ source: CInt,
        to target: CInt,
        _ range: Range<UInt64>,
        sharingBlocks: Bool
    ) throws(Errno) {
        let copy = sharingBlocks ? mlog_copy_range : mlog_copy_by_hand
        _ = try check(copy(source, target, range.lowerBound, UInt64(range.count)))
    }

    /// `rmdir(2)`.
    static func removeDirectory(_ path: FilePath) throws(Errno) {
        guard unsafe path.withPlatformString({ unsafe rmdir($0) }) == 0 else { throw lastError }
    }

    /// `fdatasync(2)`.
    ///
    /// Never retried: after a failed write-back the cache shows what the disk lacks.
    static func flushData(_ descriptor: CInt) throws(Errno) {
        guard fdatasync(descriptor) == 0 else { throw lastError }
    }

    /// `fsync(2)`.
    static func flush(_ descriptor: CInt) throws(Errno) {
        guard fsync(descriptor) == 0 else { throw lastError }
    }

    /// `unlink(2)`.
    static func unlink(_ path: FilePath) throws(Errno) {
        guard unsafe path.withPlatformString({ unsafe Glibc.unlink($0) }) == 0 else { throw lastError }
    }

    /// `rename(2)`.
    static func rename(_ source: FilePath, to destination: FilePath) throws(Errno) {
        let status = unsafe source.withPlatformString { from in
            unsafe destination.withPlatformString { to in unsafe Glibc.rename(from, to) }
        }
        guard status == 0 else { throw lastError }
    }

    /// `renameat2(2)` with `RENAME_NOREPLACE`.
    static func renameWithoutReplacing(_ source: FilePath, to destination: FilePath) throws(Errno) {
        let status = unsafe source.withPlatformString { from in
            unsafe destination.withPlatformString { to in unsafe mlog_rename_noreplace(from, to) }
        }
        _ = try check(status)
    }

    /// `link(2)`: a second name, which must not exist.
    static func link(_ source: FilePath, to destination: FilePath) throws(Errno) {
        let status = unsafe source.withPlatformString { from in
            unsafe destination.withPlatformString { to in unsafe Glibc.link(from, to) }
        }
        guard status == 0 else { throw lastError }
    }

    /// `linkat(2)` of an `O_TMPFILE` descriptor: a name, which must not exist.
    static func linkUnnamed(_ descriptor: CInt, to destination: FilePath) throws(Errno) {
        _ = try check(unsafe destination.withPlatformString { unsafe mlog_link_unnamed(descriptor, $0) })
    }

    /// `fcntl(2)` with `F_OFD_SETLK` on one byte; false when somebody else holds it.
    static func tryLock(_ descriptor: CInt, _ type: CInt, byte: CInt) throws(Errno) -> Bool {
        let status = mlog_ofd_lock(descriptor, Int16(type), off_t(byte))
        if status == -EAGAIN || status == -EACCES { return false }
        _ = try check(status)
        return true
    }

    /// The names in a directory, `.` and `..` left out: `readdir(3)`.
    static func names(in path: FilePath) throws(Errno) -> [String] {
        guard let directory = unsafe path.withPlatformString({ unsafe opendir($0) }) else { throw lastError }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while true {
            Glibc.errno = 0
            guard let entry = unsafe readdir(directory) else {
                if Glibc.errno != 0 { throw lastError }
                return names
            }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    private static func check(_ status: CInt) throws(Errno) -> CInt {
        guard status >= 0 else { throw Errno(rawValue: -status) }
        return status
    }
}
