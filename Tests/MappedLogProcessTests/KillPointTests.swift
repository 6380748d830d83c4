import MappedLogTestSupport
import Testing
import _CTestSupport

extension ProcessTests {
    /// Processes that are killed at exact points, by single steps; `tools/torture kill` takes every one of them.
    @Suite(.enabled(if: TracedProcess.obstacle == nil, Comment(rawValue: TracedProcess.obstacle ?? "")))
    struct KilledAtPoints {
        struct Case: CustomTestStringConvertible, Sendable {
            let operation: TracedOperation
            let hasSurvivor: Bool
            /// Of so many points one is taken: a debug build is slow to step through.
            let stride: UInt64
            var testDescription: String { "\(operation.rawValue), \(hasSurvivor ? "beside another writer" : "alone")" }
        }

        static let cases = TracedOperation.allCases.flatMap { operation in
            operation.companies.map {
                Case(operation: operation, hasSurvivor: $0, stride: operation.isShort ? 11 : 13)
            }
        }

        @Test(arguments: cases)
        func `a process killed behind a store or a system call loses nothing and stops nobody`(_ tested: Case) throws {
            var random = SeededGenerator(tested.testDescription)
            let stride = scaled(stride: tested.stride)
            let count = try KillPoints(
                tested.operation,
                hasSurvivor: tested.hasSurvivor,
                stride: stride,
                first: UInt64.random(in: 0..<stride, using: &random)
            ).run()
            print("\(tested.testDescription): \(count.kills) kills, one of \(stride) of \(count.points) points")
            #expect(count.points > 1, "the operation stores or calls something")
        }

        @Test(arguments: KillPairs.Second.allCases)
        func `who mends what a dead one left may die of it too`(_ second: KillPairs.Second) throws {
            var random = SeededGenerator("pairs, then \(second.rawValue)")
            var kills = 0
            for first in KillPairs.firsts {
                kills += try KillPairs(first, second).run(sample: 1, using: &random).kills
            }
            print("pairs, then \(second.rawValue): \(kills) kills")
            #expect(kills == 2 * KillPairs.firsts.count)
        }
    }

    @Suite(.disabled(if: Sanitizer.killingObstacle != nil, Comment(rawValue: Sanitizer.killingObstacle ?? "")))
    struct Storms {
        @Test func `a storm of kills and stops beside a taker of locks loses no acknowledged record`() throws {
            var random = SeededGenerator("storm")
            let storm = try KillStorm(seed: random.next())
            let count = try storm.run(until: .now + .seconds(30), kills: Int(scaled(120)))
            print("storm: \(count)")
            #expect(count.allKills > 20)
            #expect(count.locksTaken > 0)
            #expect(count.acknowledged > 100)
        }
    }
}
