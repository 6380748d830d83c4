import Foundation
import MappedLog
import Synchronization
import SystemPackage
import _CTestSupport

/// A tailer that sleeps until it is woken, on a thread of its own.
final class Sleeper: Sendable {
    private struct State {
        var sequence: UInt64 = 0
        var failure: String?
        var isToEnd = false
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let shared: SharedState
    /// One sleep of a tailer ends by itself (`spec/protocol.md`, "Wait and wake"), whoever has died.
    ///
    /// What is beyond the 100 ms is for a machine that has others to run.
    private static let bound = Duration.milliseconds(100) + .seconds(5)

    init(_ path: FilePath, _ shared: SharedState) throws {
        self.shared = shared
        // Behind the constructor's errors.
        _ = try Log.openReadOnly(at: path).tailer()
        Thread.detachNewThread { [self] in
            do { try follow(Log.openReadOnly(at: path)) } catch { state.withLock { $0.failure = "\(error)" } }
            state.withLock { $0.hasEnded = true }
        }
    }

    private func follow(_ log: Log) throws {
        var tailer = try log.tailer()
        while !state.withLock({ $0.isToEnd }) {
            // Far longer than a sleep may last.
            _ = try tailer.wait(upTo: .seconds(20))
            while try Self.next(&tailer) {}
            state.withLock { $0.sequence = tailer.sequence }
        }
    }

    /// What retention has removed is stepped over.
    private static func next(_ tailer: inout Tailer) throws(LogError) -> Bool {
        do throws(LogError) { return try tailer.next() != nil } catch {
            guard error.code == .recordsGone else { throw error }
            return true
        }
    }

    /// It ends with the next record, or soon.
    func end() { state.withLock { $0.isToEnd = true } }

    private func wait(for what: String, until condition: () -> Bool) throws {
        let deadline = ContinuousClock.now + Self.bound
        while !condition() {
            if let failure = state.withLock({ $0.failure }) { throw Refuted("a sleeping tailer: \(failure)") }
            guard .now < deadline else { throw Refuted("a sleeping tailer: not within \(Self.bound): \(what)") }
            test_sleep_ns(100_000)
        }
    }

    /// It comes to this sequence, whoever has died.
    func expect(upTo sequence: UInt64) throws {
        try wait(for: "the record before \(sequence)") { state.withLock { $0.sequence } >= sequence }
    }

    /// It sleeps, and is woken by this, instead of by the time; where the condition holds once it sleeps.
    ///
    /// Another thread may do the same meanwhile, and wakes it then.
    func expectWake<Result>(
        by cause: String,
        if isDue: () -> Bool = { true },
        _ body: () throws -> Result
    ) throws -> Result {
        var before = shared.committed
        try wait(for: "its sleep") {
            before = shared.committed
            return before.isAwaited
        }
        let mustWake = isDue()
        let result = try body()
        guard !mustWake || shared.committed.wakes != before.wakes else {
            throw Refuted("\(cause) woke nobody, and a tailer slept")
        }
        return result
    }
}
