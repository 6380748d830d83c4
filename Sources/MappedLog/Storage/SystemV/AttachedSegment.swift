internal import SystemPackage
internal import _CMappedLog

/// A System V shared-memory segment in this process's memory (shmat(2)); detached with the last reference.
///
/// Its size never changes, and its memory stays until the last process detaches, whatever is removed meanwhile: so no
/// load or store here can be a SIGBUS.
@safe final class AttachedSegment: Sendable {
    let id: CInt
    let byteCount: Int
    let isWritable: Bool
    nonisolated(unsafe) let start: UnsafeMutableRawPointer

    /// - Throws: What the system says: `invalidArgument` or `identifierRemoved` where it is gone.
    init(_ id: CInt, isWritable: Bool) throws(Errno) {
        self.id = id
        self.isWritable = isWritable
        var start: UnsafeMutableRawPointer?
        _ = try SystemV.check(unsafe mlog_shm_attach(id, isWritable ? 0 : 1, &start))
        unsafe self.start = start!
        // Attached first: its size can't go any more.
        do throws(Errno) { byteCount = Int(try SystemV.status(id).bytes) } catch {
            unsafe _ = mlog_shm_detach(start)
            throw error
        }
    }

    deinit {
        // In a forked child this address range may belong to something else by now.
        if !ForkGuard.isForkedChild { _ = unsafe mlog_shm_detach(start) }
    }
}

/// The system calls for System V shared memory and semaphores, each with its failure as an `Errno`.
enum SystemV {
    static func status(_ id: CInt) throws(Errno) -> mlog_shm_status {
        var status = mlog_shm_status()
        _ = try check(unsafe mlog_shm_status_of(id, &status))
        return status
    }

    /// The id of the segment with a key; nil: there is none.
    static func find(_ key: Int32) throws(Errno) -> CInt? {
        do throws(Errno) { return try check(mlog_shm_find(key)) } catch .noSuchFileOrDirectory { return nil }
    }

    static func check(_ status: CInt) throws(Errno) -> CInt {
        guard status >= 0 else { throw Errno(rawValue: -status) }
        return status
    }

    /// Whether an error says that an id leads nowhere any more.
    static func isGone(_ error: Errno) -> Bool { error == .invalidArgument || error == .identifierRemoved }

    /// A key for a segment or set that only a table knows.
    static func randomKey() -> Int32 {
        // The sign bit is set: what people choose, and what ftok makes of small ids, is rarely so.
        Int32.random(in: .min ... -2)
    }

    /// What a failure to make a segment or a set means.
    static func failure(_ errno: Errno, _ call: String, file: FilePath, byteCount: UInt64? = nil) -> LogError {
        let limits: String
        switch errno {
        case .noSpace where byteCount == nil: limits = "kernel.sem, its third number of semaphores, fourth of sets"
        case .noSpace: limits = "kernel.shmmni, a number of segments, and kernel.shmall, pages in all"
        case .invalidArgument where byteCount != nil: limits = "kernel.shmmax, the bytes of one segment"
        case .noMemory:
            return LogError(
                .diskFull,
                file: file,
                expected: byteCount.map { "\($0) bytes of memory" },
                found: call,
                errno: errno,
                advice: "free memory, or choose fewer or smaller segments; then try again"
            )
        default: return .system(errno, call, file: file)
        }
        return LogError(
            .systemLimit,
            file: file,
            expected: byteCount.map { "room for one more segment of \($0) bytes" } ?? "room for one more semaphore set",
            found: call,
            errno: errno,
            advice: "raise \(limits) (sysctl(8)), remove what nobody uses (`mlog list sysv`, ipcs(1)), or choose "
                + "fewer or smaller segments"
        )
    }
}
