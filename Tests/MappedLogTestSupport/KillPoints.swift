import Foundation
public import _CTestSupport

/// Kills a process at each point of an operation, one process for each: behind each store to shared memory and each
/// system call that changes anything, which is also before the next one.
public struct KillPoints: Sendable {
    /// What the killed process is at.
    public var operation: TracedOperation
    /// Whether another process has the log open for writing, and goes on; else the next writer recovers.
    public var hasSurvivor: Bool
    /// By what points are counted.
    public var mode: test_victim_mode
    /// Of so many points one is taken.
    public var stride: UInt64
    /// The first point that is taken.
    public var first: UInt64

    /// Creates a campaign over all points, by stores where the operation is short.
    public init(
        _ operation: TracedOperation,
        hasSurvivor: Bool,
        mode: test_victim_mode? = nil,
        stride: UInt64 = 1,
        first: UInt64 = 0
    ) {
        self.operation = operation
        self.hasSurvivor = hasSurvivor
        self.mode = mode ?? (operation.isShort ? TEST_VICTIM_POINTS : TEST_VICTIM_CALLS)
        self.stride = stride
        self.first = first
    }

    /// What was done.
    public struct Count: Sendable {
        /// How many processes were killed.
        public var kills = 0
        /// How many points the operation has; instructions, where these were counted.
        public var points: UInt64 = 0

        /// Whether every point was taken.
        public var isComplete = false

        /// Creates a count of nothing.
        public init() {}
    }

    /// Kills, until every point was taken or it is time to end.
    ///
    /// - Throws: ``Refuted``, with the point.
    public func run(until deadline: ContinuousClock.Instant? = nil) throws -> Count {
        var count = Count()
        let scene = try KillScene(hasSurvivor: hasSurvivor)
        var point = first
        while true {
            let outcome = try kill(scene, at: point)
            count.kills += 1
            count.points = max(count.points, outcome.points)
            // A single point that there isn't.
            if stride == .max, first > outcome.points { count.kills = 0 }
            if outcome.end == TEST_VICTIM_MARKED {
                count.isComplete = stride == 1 && first == 0
            }
            if outcome.end == TEST_VICTIM_MARKED || stride == .max { break }
            if let deadline, .now > deadline { break }
            point += stride
        }
        try scene.finish()
        return count
    }

    /// Kills at every point, in any order, until it is time to end.
    ///
    /// - Throws: ``Refuted``, with the point.
    public func run(
        shuffledUsing random: inout some RandomNumberGenerator,
        until deadline: ContinuousClock.Instant
    ) throws -> Count {
        var count = Count()
        let scene = try KillScene(hasSurvivor: hasSurvivor)
        count.points = try kill(scene, at: .max).points
        let points = (0...count.points).shuffled(using: &random)
        for point in points {
            if .now >= deadline { break }
            let outcome = try kill(scene, at: point)
            count.points = max(count.points, outcome.points)
            count.kills += 1
        }
        count.isComplete = count.kills > count.points
        try scene.finish()
        return count
    }

    /// One kill, and a look at what it left.
    private func kill(_ scene: KillScene, at point: UInt64) throws -> test_victim_outcome {
        var last = "before it began"
        do {
            try scene.prepare(operation)
            let victim = try scene.victim(operation)
            let outcome = try expectDeath(victim, victim.run(mode, count: point))
            victim.end()
            last = outcome.lastPoint
            try scene.settle([operation], done: [outcome.end == TEST_VICTIM_MARKED])
            return outcome
        } catch {
            throw Refuted("\(operation.rawValue) killed behind point \(point) (\(last)): \(error)")
        }
    }
}

/// - Throws: Where the process wasn't killed at its point, and didn't come to its second mark.
func expectDeath(_ victim: TracedProcess, _ outcome: test_victim_outcome) throws -> test_victim_outcome {
    if outcome.has_missed != 0 { throw Refuted("a store that the stepping didn't look for: look there too") }
    if outcome.end == TEST_VICTIM_KILLED || outcome.end == TEST_VICTIM_MARKED { return outcome }
    let end = outcome.end == TEST_VICTIM_LATE ? "was late" : "ended by itself, status \(outcome.status)"
    throw Refuted("the process \(end); it said: \(victim.printed)")
}
