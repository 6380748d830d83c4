import ArgumentParser
import Glibc
import MappedLogTestSupport
import _CTestSupport

/// Kills processes behind every store and system call of what they do, in pairs, and at random in a storm.
struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Kills processes at every point of what they do.",
        discussion: """
            First every point of every operation, with another writer beside it and alone, for half of the time at most; \
            then, in turn: every point of the recovery behind a few deaths, pairs of deaths at random points, and storms of \
            real processes, for as long as it is told to. What was found can be had again: `--only NAME --point N`, \
            `--first NAME:N --second NAME:N`, `--storm-seed S`.
            """
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "Only this operation, or only `pairs`, or only `storm`s.")
    var only: String?
    @Option(help: "With --only: only the death behind this point.")
    var point: UInt64?
    @Option(help: "With --second: only this pair of deaths; who dies first, and behind which point.")
    var first: DeathPoint?
    @Option(help: "Who dies of mending that, and behind which point.")
    var second: DeathPoint?
    @Option(help: "Only one storm, with this seed.")
    var stormSeed: UInt64?

    private var operations: [TracedOperation] {
        TracedOperation.allCases.filter { only ?? $0.rawValue == $0.rawValue }
    }

    func validate() throws {
        if let only, operations.isEmpty, only != "pairs", only != "storm" {
            throw ValidationError("there is no \(only) to be killed")
        }
        if point != nil, only == nil || operations.isEmpty {
            throw ValidationError("--point is one of an operation: name that with --only")
        }
        guard (first == nil) == (second == nil) else { throw ValidationError("--first and --second go together") }
        if let first, !KillPairs.firsts.contains(where: { $0.rawValue == first.name }) {
            throw ValidationError("nobody dies first in \(first.name)")
        }
        if let second, KillPairs.Second(rawValue: second.name) == nil {
            throw ValidationError("nobody dies second in \(second.name)")
        }
    }

    func run() throws {
        if let obstacle = TracedProcess.obstacle { throw ValidationError(obstacle) }
        print("kill: seed \(campaign.seed)")
        let (start, deadline) = (ContinuousClock.now, campaign.deadline)
        if let point { return try repeatOne(point) }
        if let first, let second {
            try KillPairs(TracedOperation(rawValue: first.name)!, KillPairs.Second(rawValue: second.name)!)
                .run(first.point, second.point)
            return print("kill: one pair of deaths, nothing refuted")
        }
        var random = SeededGenerator(seed: campaign.seed)
        var kills = 0
        if let stormSeed {
            kills += try storm(stormSeed, until: deadline)
        } else {
            kills += try everyPoint(until: only == nil ? start + .seconds(campaign.seconds) / 2 : deadline, &random)
            let (pairs, storms) = (only == nil || only == "pairs", only == nil || only == "storm")
            while pairs || storms, .now < deadline {
                if pairs {
                    kills += try recoveries(until: .now + (deadline - .now) / (storms ? 3 : 2), &random)
                    kills += try somePairs(until: storms ? .now + (deadline - .now) / 2 : deadline, &random)
                }
                let seed = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
                if storms { kills += try storm(seed, until: min(deadline, .now + .seconds(30))) }
            }
        }
        if kills == 0 { throw ValidationError("nobody was killed: too little time") }
        print("kill: \(kills) processes killed, nothing refuted")
    }

    private func repeatOne(_ point: UInt64) throws {
        for operation in operations {
            for hasSurvivor in operation.companies {
                let count = try KillPoints(operation, hasSurvivor: hasSurvivor, stride: .max, first: point).run()
                if count.kills == 0 {
                    throw ValidationError("\(operation.rawValue) has \(count.points) points, so no point \(point)")
                }
                print("\(operation.rawValue), \(Self.company(hasSurvivor)): killed behind point \(point)")
            }
        }
        print("kill: nothing refuted")
    }

    private static func company(_ hasSurvivor: Bool) -> String { hasSurvivor ? "beside another writer" : "alone" }

    private func everyPoint(until deadline: ContinuousClock.Instant, _ random: inout SeededGenerator) throws -> Int {
        let all = operations.flatMap { operation in operation.companies.map { (operation, $0) } }
        var kills = 0
        for (number, (operation, hasSurvivor)) in all.enumerated() {
            // Each has its share of the time; what one leaves the others have.
            let share = (deadline - .now) / (all.count - number)
            let count = try KillPoints(operation, hasSurvivor: hasSurvivor)
                .run(shuffledUsing: &random, until: .now + share)
            kills += count.kills
            let rest =
                count.isComplete
                ? "every one of \(count.points) points" : "stopped after \(count.kills) of \(count.points) points"
            print("\(operation.rawValue), \(Self.company(hasSurvivor)): \(count.kills) kills, \(rest)")
            fflush(nil)
        }
        return kills
    }

    /// A torn tail of an append, a batch and a roll, whose recovery dies at each of its points.
    private func recoveries(until deadline: ContinuousClock.Instant, _ random: inout SeededGenerator) throws -> Int {
        var kills = 0
        for first in [TracedOperation.append, .batch, .roll].shuffled(using: &random) {
            if .now >= deadline { break }
            let pairs = KillPairs(first, .open)
            let point = UInt64.random(in: 0...(try pairs.firstPoints()), using: &random)
            let count = try pairs.runEverySecond(behind: point, until: deadline)
            kills += count.kills
            let rest = count.isComplete ? "at every point" : "stopped"
            print("recovery behind a death in \(first.rawValue) at point \(point): \(count.kills / 2) deaths, \(rest)")
            fflush(nil)
        }
        return kills
    }

    private func somePairs(until deadline: ContinuousClock.Instant, _ random: inout SeededGenerator) throws -> Int {
        var kills = 0
        let all = KillPairs.Second.allCases.flatMap { second in KillPairs.firsts.map { KillPairs($0, second) } }
        for pairs in all.shuffled(using: &random) where .now < deadline {
            kills += try pairs.run(sample: 6, using: &random, until: deadline).kills
        }
        print("pairs of deaths: \(kills) kills")
        fflush(nil)
        return kills
    }

    private func storm(_ seed: UInt64, until deadline: ContinuousClock.Instant) throws -> Int {
        print("storm: --storm-seed \(seed)")
        fflush(nil)
        let count = try KillStorm(seed: seed).run(until: deadline)
        let victims = count.kills.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        print(
            """
            storm: \(count.allKills) kills (\(victims)), \(count.stops) stops, \(count.locksTaken) locks taken, \
            \(count.acknowledged) records acknowledged and all seen, \(count.unacknowledged) seen without
            """
        )
        fflush(nil)
        return count.allKills
    }
}

/// A point of an operation: `append:7`.
struct DeathPoint: ExpressibleByArgument {
    let name: String
    let point: UInt64

    init?(argument: String) {
        let parts = argument.split(separator: ":")
        guard parts.count == 2, let point = UInt64(parts[1]) else { return nil }
        name = String(parts[0])
        self.point = point
    }
}
