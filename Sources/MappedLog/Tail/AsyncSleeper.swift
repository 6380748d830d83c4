internal import Synchronization

/// Lets tasks wait for a log without holding a thread of the cooperative pool: one thread of its own sleeps for all.
///
/// Each wait is bounded; who is resumed looks for itself. The thread ends with the last reference to the log.
final class AsyncSleeper: Sendable {
    private let waiters: Waiters?
    private let thread = BackgroundThread()
    private let state = Mutex(State())

    private struct State {
        var isStarted = false
        var sleeping: [Sleeping] = []
    }

    private struct Sleeping {
        let event: Waiters.Event
        let isReady: @Sendable () -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    init(waiters: Waiters?) {
        self.waiters = waiters
    }

    deinit {
        thread.end()
    }

    /// Returns when `isReady`, or after 100 ms at most.
    func sleep(until event: Waiters.Event, unless isReady: @escaping @Sendable () -> Bool) async throws(LogError) {
        try startOnce()
        await withCheckedContinuation { continuation in
            let sleeping = Sleeping(event: event, isReady: isReady, continuation: continuation)
            state.withLock { $0.sleeping.append(sleeping) }
            thread.ring()
        }
    }

    private func startOnce() throws(LogError) {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { return }
        do throws(LogError) { try thread.start("mlog-wait") { [weak self] in self?.round() ?? .seconds(1) } } catch {
            state.withLock { $0.isStarted = false }
            throw error
        }
    }

    /// Sleeps once for all that wait, then resumes them all.
    private func round() -> Duration {
        let now = state.withLock { state in
            defer { state.sleeping = [] }
            return state.sleeping
        }
        guard let first = now.first else { return .seconds(3600) }
        let isAnyReady: () throws(LogError) -> Bool = { now.contains { $0.isReady() } }
        if let waiters {
            // Those who wait for another event are looked at again after a bounded sleep.
            let isMixed = now.contains { $0.event != first.event }
            let longest = isMixed ? Waiters.pollNanoseconds : Waiters.longestSleepNanoseconds / 10
            try? waiters.sleep(until: first.event, nanoseconds: longest, unless: isAnyReady)
        } else if (try? isAnyReady()) == false {
            Waiters.poll()
        }
        for sleeping in now { sleeping.continuation.resume() }
        return .zero
    }
}
