import MappedLogTestSupport
import Testing

extension ProcessTests {
    /// System calls that fail and disks that are full; `tools/torture faults` takes every one.
    @Suite struct FaultsFromTheKernel {
        /// Says so where it can't.
        static func canBeMade(_ kind: SmallDisk.Kind) -> Bool {
            guard let obstacle = SmallDisk.obstacle(kind) else { return true }
            print("SKIPPED, no \(kind.rawValue): \(obstacle)")
            return false
        }

        @Test(
            .enabled(if: TracedProcess.obstacle == nil, Comment(rawValue: TracedProcess.obstacle ?? "")),
            arguments: FailingCalls.Fault.allCases
        )
        func `a system call that fails is an error or nothing, and loses nothing`(_ fault: FailingCalls.Fault) throws {
            var random = SeededGenerator(fault.rawValue)
            let stride: UInt64 = fault == .refused || fault == .flush ? 11 : 97
            let first = UInt64.random(in: 0..<stride, using: &random)
            let count = try FailingCalls(fault).run(stride: stride, first: first)
            print("\(fault.rawValue): \(count.failures) failing calls, of \(count.calls) in a run")
            #expect(count.failures > 0)
        }

        @Test(
            .enabled(if: SmallDisk.obstacle == nil, Comment(rawValue: SmallDisk.obstacle ?? "")),
            arguments: SmallDisk.Kind.allCases.filter { Self.canBeMade($0) }
        )
        func `a full disk is an error, and loses nothing`(_ kind: SmallDisk.Kind) throws {
            let full = try FailingDisk(kind).runFull(leaving: [0, 80 << 10, 400 << 10])
            #expect(full.failed > 0)
        }

        @Test(
            .enabled(if: SmallDisk.obstacle == nil, Comment(rawValue: SmallDisk.obstacle ?? "")),
            arguments: SmallDisk.Kind.allCases.filter(Self.canBeMade)
        )
        func `a disk that runs full under an open log is an error, and no signal`(_ kind: SmallDisk.Kind) throws {
            #expect(try FailingDisk(kind).runFilling() > 0)
        }

        @Test(
            .enabled(if: SmallDisk.obstacle == nil, Comment(rawValue: SmallDisk.obstacle ?? "")),
            arguments: SmallDisk.Kind.allCases.filter { $0 != .tmpfs && Self.canBeMade($0) }
        )
        func `a disk that refuses a flush poisons the log in every process, and loses nothing durable`(
            _ kind: SmallDisk.Kind
        ) throws {
            #expect(try FailingDisk(kind).runRefusing() > 0)
        }
    }
}
