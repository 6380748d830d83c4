public import _CTestSupport

/// Kills one process at a point, and then the one that mends what it left, at a point of its own.
public struct KillPairs: Sendable {
    /// Who mends.
    public enum Second: String, CaseIterable, Sendable {
        /// The next to append, who had the log open all the while: it is handed the append lock of the dead.
        case append
        /// The next to sync: it is handed the flusher lock of the dead.
        case sync
        /// The next to open the log, where there is no other writer: it recovers.
        case open
    }

    /// What leaves something to mend.
    public static let firsts: [TracedOperation] = [.append, .inPlace, .batch, .roll, .sync, .flushedAppend]

    /// What the first was at.
    public var first: TracedOperation
    /// What the second was at.
    public var second: Second
    /// By what the points of the second are counted.
    public var mode: test_victim_mode

    /// Creates a campaign.
    public init(_ first: TracedOperation, _ second: Second, mode: test_victim_mode? = nil) {
        self.first = first
        self.second = second
        self.mode = mode ?? (second == .open ? TEST_VICTIM_CALLS : TEST_VICTIM_POINTS)
    }

    /// Kills at so many pairs of points.
    ///
    /// - Parameters:
    ///   - sample: How many pairs are taken, at random.
    ///   - random: Chooses them.
    ///   - deadline: When to end in any case.
    /// - Throws: ``Refuted``, with the points.
    /// - Returns: What was done.
    public func run(
        sample: Int,
        using random: inout some RandomNumberGenerator,
        until deadline: ContinuousClock.Instant? = nil
    ) throws -> KillPoints.Count {
        var count = KillPoints.Count()
        let scene = try KillScene(hasSurvivor: second != .open)
        // How many points there are shows when one is missed.
        var ends: (first: UInt64, second: UInt64) = (64, 96)
        for _ in 0..<sample {
            if let deadline, .now >= deadline { break }
            let points = (
                UInt64.random(in: 0..<ends.first, using: &random),
                UInt64.random(in: 0..<ends.second, using: &random)
            )
            let outcomes = try kill(scene, points.0, points.1, &count)
            if outcomes.0.end == TEST_VICTIM_MARKED { ends.first = max(outcomes.0.points, 1) }
            if outcomes.1.end == TEST_VICTIM_MARKED { ends.second = max(outcomes.1.points, 1) }
        }
        try scene.finish()
        return count
    }

    /// Kills the first behind one point, and the second behind each that it has.
    ///
    /// - Parameters:
    ///   - firstPoint: The point of the first.
    ///   - deadline: When to end in any case.
    /// - Throws: ``Refuted``, with the points.
    /// - Returns: What was done.
    public func runEverySecond(
        behind firstPoint: UInt64,
        until deadline: ContinuousClock.Instant
    ) throws -> KillPoints.Count {
        var count = KillPoints.Count()
        let scene = try KillScene(hasSurvivor: second != .open)
        var secondPoint: UInt64 = 0
        while !count.isComplete, .now < deadline {
            count.isComplete = try kill(scene, firstPoint, secondPoint, &count).1.end == TEST_VICTIM_MARKED
            secondPoint += 1
        }
        try scene.finish()
        return count
    }

    /// Kills at one pair of points.
    ///
    /// - Throws: ``Refuted``.
    public func run(_ firstPoint: UInt64, _ secondPoint: UInt64) throws {
        var count = KillPoints.Count()
        let scene = try KillScene(hasSurvivor: second != .open)
        _ = try kill(scene, firstPoint, secondPoint, &count)
        try scene.finish()
    }

    /// How many points the first has, on a log like that on which it is killed.
    public func firstPoints() throws -> UInt64 {
        let scene = try KillScene(hasSurvivor: second != .open)
        try scene.prepare(first)
        let victim = try scene.victim(first)
        return try expectDeath(victim, victim.run(TEST_VICTIM_POINTS, count: .max)).points
    }

    private func kill(
        _ scene: KillScene,
        _ firstPoint: UInt64,
        _ secondPoint: UInt64,
        _ count: inout KillPoints.Count
    ) throws -> (test_victim_outcome, test_victim_outcome) {
        do {
            let operation = TracedOperation(rawValue: second.rawValue)!
            try scene.prepare(first)
            // Who only appends has opened the log before the other dies: else its background threads would mend.
            let waiting = second == .open ? nil : try scene.victim(operation, isSecond: true)
            let firstOutcome = try die(scene.victim(first), TEST_VICTIM_POINTS, firstPoint)
            let secondOutcome = try die(waiting ?? scene.victim(operation, isSecond: true), mode, secondPoint)
            count.kills += 2
            count.points = max(count.points, secondOutcome.points)
            try scene.settle(
                [first, operation],
                done: [firstOutcome.end == TEST_VICTIM_MARKED, secondOutcome.end == TEST_VICTIM_MARKED]
            )
            return (firstOutcome, secondOutcome)
        } catch {
            throw Refuted(
                """
                \(first.rawValue) killed behind point \(firstPoint), then \(second.rawValue) behind \(secondPoint): \(error)
                  tools/torture kill --first \(first.rawValue):\(firstPoint) --second \(second.rawValue):\(secondPoint)
                """
            )
        }
    }

    // The process is gone, and its locks with it, when this returns.
    private func die(
        _ victim: consuming TracedProcess,
        _ mode: test_victim_mode,
        _ point: UInt64
    ) throws -> test_victim_outcome {
        let outcome = try expectDeath(victim, victim.run(mode, count: point))
        victim.end()
        return outcome
    }
}
