import Dispatch
import Testing

/// Tests that wait for processes block: each on a thread of its own, not on one that all other tests share.
struct OwnThread: TestTrait, SuiteTrait, TestScoping {
    var isRecursive: Bool { true }

    private final class Executor: TaskExecutor {
        private let queue = DispatchQueue(label: "test with processes")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Executor()) { try await function() }
    }
}

extension Trait where Self == OwnThread {
    static var onOwnThread: Self { Self() }
}

/// Tests with real processes, one at a time: they need the processors for themselves.
@Suite(.serialized, .onOwnThread, .timeLimit(.minutes(3)))
struct ProcessTests {}
