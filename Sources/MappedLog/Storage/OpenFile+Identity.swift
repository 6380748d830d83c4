internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// What an open file is, and who has locked it.
extension OpenFile {
    /// What tells this very file from all others of this machine.
    var identity: (device: UInt64, inode: UInt64) {
        get throws(LogError) {
            if let memory { return (0x5653_5953, UInt64(memory.segment.id)) }
            let status = try status()
            return (UInt64(status.st_dev), UInt64(status.st_ino))
        }
    }

    /// How many bytes it takes; 0 where that can't be found out.
    var storedByteCount: UInt64 { memory?.byteCount ?? (try? status()).map { UInt64($0.st_blocks) * 512 } ?? 0 }

    /// Who may read and write it; the default where that can't be found out.
    var permissions: FilePermissions {
        FilePermissions(rawValue: ((try? status())?.st_mode ?? 0o600) & 0o666)
    }

    /// How many bytes it has now.
    func currentByteCount() throws(LogError) -> UInt64 {
        if let memory { return memory.byteCount }
        return UInt64(try status().st_size)
    }

    private func status() throws(LogError) -> stat {
        do throws(Errno) { return try SystemCall.status(descriptor) } catch {
            throw .system(error, "fstat(2)", file: path)
        }
    }

    /// Whether it is still what its path leads to.
    func isCurrent() -> Bool {
        if let memory { return memory.isCurrent() && memory.locks?.isCurrent ?? true }
        guard let opened = try? status(), let named = try? SystemCall.status(path) else { return false }
        return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
    }

    /// The magic number of its file system: `statfs(2)`.
    var fileSystemType: Int64 { mlog_filesystem_type(descriptor) }

    // MARK: Its lock

    /// Takes, shares or lets go of the lock on one byte, with `fcntl(2)`; false when somebody else has it.
    func tryLock(_ type: CInt, byte: CInt = 0) throws(LogError) -> Bool {
        if let locks = memory?.locks {
            do throws(Errno) { return try locks.tryLock(type, byte: byte) } catch {
                if SystemV.isGone(error) { throw .goneSemaphores(path) }
                throw .system(error, "semop(2)", file: path)
            }
        }
        do throws(Errno) { return try SystemCall.tryLock(descriptor, type, byte: byte) } catch {
            throw .system(error, "fcntl(2), F_OFD_SETLK", file: path)
        }
    }

    /// Whether some other open file description holds a lock on a byte; a look, which takes nothing.
    func isLocked(byte: CInt = 0) throws(LogError) -> Bool { try holder(byte) != 0 }

    /// Whether others hold a byte together, and nobody alone; a look, which takes nothing.
    ///
    /// Semaphores don't tell the two apart: any that is held counts as shared.
    func isShared(byte: CInt) throws(LogError) -> Bool { try holder(byte) == 1 }

    /// 0: nobody; 1: whoever shares it; 2: one alone.
    private func holder(_ byte: CInt) throws(LogError) -> CInt {
        if let locks = memory?.locks {
            do throws(Errno) { return try locks.value(byte) > 0 ? 1 : 0 } catch {
                if SystemV.isGone(error) { throw .goneSemaphores(path) }
                throw .system(error, "semctl(2)", file: path)
            }
        }
        let status = mlog_ofd_is_locked(descriptor, off_t(byte))
        if status < 0 { throw .system(Errno(rawValue: -status), "fcntl(2), F_OFD_GETLK", file: path) }
        return status
    }
}
