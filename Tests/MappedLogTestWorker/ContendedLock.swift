import Glibc
import Synchronization
import _CMappedLog

/// A mutex like a log's append lock (`mapped_log_lock.h`), and two threads that take it in turn.
@safe final class ContendedLock: Sendable {
    nonisolated(unsafe) let mutex: UnsafeMutableRawPointer
    let isMade: Bool
    /// Rounds in which the first has it, and in which the second has had it.
    let started = Atomic(0)
    let ended = Atomic(0)

    init() {
        unsafe mutex = UnsafeMutableRawPointer.allocate(byteCount: Int(MLOG_MUTEX_BYTES), alignment: 16)
        isMade = unsafe mlog_mutex_init(mutex) == 0
    }

    deinit { unsafe mutex.deallocate() }

    /// A thread sleeps in the kernel, or is about to: FUTEX_WAITERS of futex(2).
    var isAwaited: Bool {
        unsafe mutex.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring) & 0x8000_0000 != 0
    }

    func waitAndLetGo() -> Bool {
        unsafe mlog_mutex_lock_slow(mutex, 60_000_000_000) == 0 && mlog_mutex_unlock(mutex) == 0
    }
}
