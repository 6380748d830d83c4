import Foundation
import MappedLog
import SystemPackage
import _CTestSupport

/// A process that does everything once, over and over, with the first, the second, the third system call failing, and
/// so on: what fails says so, and nothing that was acknowledged is lost.
public struct FailingCalls: Sendable {
    /// A way in which system calls fail.
    public enum Fault: String, CaseIterable, Sendable {
        case io
        case noSpace
        case interrupted
        case tooManyFiles
        case noMemory
        case refused
        case short
        case flush

        var code: test_victim_fault {
            switch self {
            case .io: TEST_FAULT_IO
            case .noSpace: TEST_FAULT_NO_SPACE
            case .interrupted: TEST_FAULT_INTERRUPTED
            case .tooManyFiles: TEST_FAULT_TOO_MANY_FILES
            case .noMemory: TEST_FAULT_NO_MEMORY
            case .refused: TEST_FAULT_REFUSED
            case .short: TEST_FAULT_SHORT
            case .flush: TEST_FAULT_FLUSH
            }
        }
    }

    /// What was done.
    public struct Count: Sendable {
        /// How many calls failed, one in each run.
        public var failures = 0
        /// How many of these the process reported.
        public var reported = 0
        /// How many calls of a run can fail in this way.
        public var calls: UInt64 = 0

        /// Creates a count of nothing.
        public init() {}
    }

    private let fault: Fault

    /// Creates a campaign.
    public init(_ fault: Fault) { self.fault = fault }

    /// Lets every `stride`-th call fail, from `first` on, each in a run of its own.
    ///
    /// - Throws: ``Refuted``, with the call.
    public func run(
        stride: UInt64 = 1,
        first: UInt64 = 0,
        until deadline: ContinuousClock.Instant? = nil
    ) throws -> Count {
        var count = Count()
        var number = first
        while deadline.map({ .now < $0 }) ?? true {
            let (outcome, reported) = try fail(number)
            count.calls = max(count.calls, outcome.points)
            if outcome.last_call < 0 { break }
            count.failures += 1
            if reported { count.reported += 1 }
            if stride == .max { break }
            number += stride
        }
        return count
    }

    private func fail(_ number: UInt64) throws -> (test_victim_outcome, reported: Bool) {
        let directory = try TemporaryDirectory(inMemory: true)
        let log = directory.path.appending("log")
        let copy = directory.path.appending("copy")
        let board = try Board(directory.path.appending("board"))
        let victim = try TracedProcess(
            [
                builtProgram("MappedLogTestWorker").string, "script", "--log", log.string, "--board",
                directory.path.appending("board").string, "--entry", "0", "--copy", copy.string, "--marks",
            ],
            watching: log
        )
        let outcome = victim.run(failing: fault.code, behind: number)
        let printed = victim.printed
        victim.end()
        let call = outcome.last_call < 0 ? "no call failed" : "system call \(outcome.last_call) failed"
        do {
            guard outcome.end == TEST_VICTIM_EXITED else { throw Refuted("the process hung") }
            guard outcome.signal == 0 else { throw Refuted("the process died of signal \(outcome.signal)") }
            guard outcome.exitStatus == 0 else { throw Refuted("exit status \(outcome.exitStatus)") }
            try FlushCheck(rows: board.scriptRows, outcome: outcome).run()
            try ScriptCheck(board: board, log: log, copy: copy).run()
        } catch {
            throw Refuted("\(fault.rawValue) at call \(number) (\(call)): \(error); the process said: \(printed)")
        }
        return (outcome, printed.contains(": "))
    }
}
