internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A process-shared, robust, error-checking `pthread_mutex_t` in shared memory (pthread_mutexattr_setrobust(3)).
///
/// The kernel hands it on when its owner dies; the next owner is told and repairs what the mutex guards.
@safe struct RobustMutex: Sendable {
    enum Acquired {
        case clean
        /// The last owner died. Call `markConsistent()` once what the mutex guards is whole again.
        case ownerDied
    }

    private nonisolated(unsafe) let mutex: UnsafeMutableRawPointer
    private let timeoutNanoseconds: UInt64

    init(_ mutex: UnsafeMutableRawPointer, timeout: Duration) {
        unsafe self.mutex = mutex
        timeoutNanoseconds = timeout.wholeNanoseconds
    }

    func initialize() throws(LogError) {
        let status = unsafe mlog_mutex_init(mutex)
        if status != 0 { throw .system(.init(rawValue: -status), "pthread_mutex_init(3)") }
    }

    /// - Throws: `writerStalled` when the owner lives but held it for the whole timeout; `reentrant` when the owner is
    ///   this thread; `needsRecovery` when an owner died and its successor could not make the state consistent.
    func lock() throws(LogError) -> Acquired {
        try acquired(unsafe mlog_mutex_trylock(mutex))
    }

    /// As `lock()`, for a moment (`spec/protocol.md`, "The lock"): until the thread lets go, or `keep`s it, it takes and
    /// lets go of no other robust mutex.
    func lock(_ thread: UnsafeMutablePointer<mlog_thread_mark>) throws(LogError) -> Acquired {
        unsafe mlog_lock_if_free(mutex, thread) != 0 ? .clean : try lock()
    }

    /// What an attempt came to; where another thread has the mutex, that is waited for.
    private func acquired(_ status: CInt) throws(LogError) -> Acquired {
        switch status == EBUSY ? unsafe mlog_mutex_lock_slow(mutex, timeoutNanoseconds) : status {
        case 0: return .clean
        case EOWNERDEAD: return .ownerDied
        case let failure: throw Self.failure(failure)
        }
    }

    /// From now on this thread may take other mutexes too.
    func keep(_ thread: UnsafeMutablePointer<mlog_thread_mark>) {
        unsafe mlog_lock_keep(mutex, thread)
    }

    /// As `lock()`; nil at once where another thread has it.
    func tryLock() throws(LogError) -> Acquired? {
        let status = unsafe mlog_mutex_trylock(mutex)
        return status == EBUSY ? nil : try acquired(status)
    }

    /// The thread that holds it at this moment; 0: none.
    var owner: CInt { unsafe mlog_mutex_owner(mutex) }

    func unlock() {
        _ = unsafe mlog_mutex_unlock(mutex)
    }

    /// Lets go of it, however this thread has taken it.
    func unlock(_ thread: UnsafeMutablePointer<mlog_thread_mark>) {
        unsafe mlog_unlock(mutex, thread)
    }

    func markConsistent() {
        _ = unsafe mlog_mutex_consistent(mutex)
    }

    @inline(never)
    private static func failure(_ status: CInt) -> LogError {
        switch status {
        case ETIMEDOUT: .writerStalled
        case EDEADLK:
            LogError(.reentrant, advice: "do it after the in-place append has returned")
        case ENOTRECOVERABLE:
            LogError(.needsRecovery, advice: "close the log in all processes, then open it again")
        default:
            .system(.init(rawValue: status), "pthread_mutex_lock(3)")
        }
    }
}

extension LogError {
    static var writerStalled: LogError {
        LogError(.writerStalled, advice: "find the stopped or traced writer and continue or kill it")
    }
}

extension Duration {
    /// Nanoseconds, 0 at least, `Int64.max` at most.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        if seconds < 0 || attoseconds < 0 { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || overflow2 ? UInt64(Int64.max) : min(sum, UInt64(Int64.max))
    }

    /// Whole seconds, as `options.json` keeps a duration of less than 2⁶³ s.
    var secondsRoundedUp: Int64 { components.seconds + (components.attoseconds > 0 ? 1 : 0) }
}
