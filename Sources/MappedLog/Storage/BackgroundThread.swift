internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// A thread with a bell: it runs `work` each time the bell rings and each time `pause` has passed.
///
/// `work` returns how long to pause. Ringing costs one system call only while the thread sleeps.
@safe final class BackgroundThread: Sendable {
    private nonisolated(unsafe) let bell: UnsafeMutablePointer<UInt32>
    private let mustEnd = Atomic<Bool>(false)
    private let handle = Mutex<pthread_t?>(nil)

    init() {
        unsafe bell = .allocate(capacity: 1)
        unsafe bell.initialize(to: 0)
    }

    deinit {
        unsafe bell.deallocate()
    }

    /// How the system shares processors between this thread and the others.
    enum Scheduling {
        case normal
        /// As much time as others get, but it stops none of them to get it (`SCHED_BATCH`, sched(7)).
        case batch
        /// What others leave; the disk's scheduler goes by it too.
        case lowest
    }

    private final class Start {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Parameters:
    ///   - name: As `ps -T`, `top -H` and `perf` show it; 15 bytes at most.
    ///   - scheduling: How it shares processors.
    ///   - work: What it does.
    /// - Throws: `io` when the system has no more threads.
    func start(
        _ name: String,
        _ scheduling: Scheduling = .normal,
        _ work: @escaping @Sendable () -> Duration
    ) throws(LogError) {
        let start = Start { [self] in
            unsafe mlog_name_thread(name)
            Self.schedule(scheduling)
            loop(work)
        }
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(start)
        var all = sigset_t()
        var old = sigset_t()
        // Signals are for the program's own threads.
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &old)
        let status = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                unsafe Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            },
            argument.toOpaque()
        )
        unsafe pthread_sigmask(SIG_SETMASK, &old, nil)
        if status != 0 {
            unsafe argument.release()
            throw .system(.init(rawValue: status), "pthread_create(3)")
        }
        handle.withLock { $0 = thread }
    }

    /// Of the calling thread alone; a hint.
    private static func schedule(_ scheduling: Scheduling) {
        switch scheduling {
        case .normal: break
        case .batch: mlog_schedule_as_batch()
        case .lowest: _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        }
    }

    /// Makes the thread work now, or once more when it is working.
    ///
    /// Any thread.
    func ring() {
        if unsafe SharedWord<UInt32>(bell).exchange(1) == 0 { _ = unsafe mlog_futex_wake_all(bell) }
    }

    /// Whether someone waits for the thread to end; work that takes long asks now and then.
    var isEnding: Bool { mustEnd.load(ordering: .acquiring) }

    /// Ends the thread after the work it is at, and waits for it.
    func end() {
        // A forked child has no such thread.
        if ForkGuard.isForkedChild { return }
        guard let thread = handle.withLock({ $0.take() }) else { return }
        mustEnd.store(true, ordering: .releasing)
        ring()
        // The last reference may go on the thread itself.
        if pthread_equal(thread, pthread_self()) != 0 { pthread_detach(thread) } else { pthread_join(thread, nil) }
    }

    private func loop(_ work: () -> Duration) {
        while !isEnding {
            unsafe SharedWord<UInt32>(bell).sequentiallyConsistentStore(0)
            let pause = work()
            if isEnding { return }
            _ = unsafe mlog_futex_wait(bell, 0, pause.wholeNanoseconds)
        }
    }
}
