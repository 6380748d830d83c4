import ArgumentParser
import Glibc
import MappedLogTestSupport
import _CTestSupport

/// Kills processes behind every store and system call of what they do, in pairs, and at random in a storm.
struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Kills processes at every point of what they do.",
        discussion: """
            First every point of every operation, with another writer beside it and alone; then pairs of deaths at random \
            points, and storms of real processes, in turn, for as long as it is told to. A failure names its points: \
            `--only NAME --point N` repeats one, and the seed the storms.
            """
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "Only this operation, or only `storm`s.")
    var only: String?
    @Option(help: "With --only: only the death behind this point.")
    var point: UInt64?

    func run() throws {
        if let obstacle = TracedProcess.obstacle { throw ValidationError(obstacle) }
        print("kill: seed \(campaign.seed)")
        let deadline = campaign.deadline
        var random = SeededGenerator(seed: campaign.seed)
        var kills = try everyPoint()
        if only == nil || only == "storm" {
            var rounds = 0
            var stormed = KillStorm.Count()
            repeat {
                if only == nil { kills += try pairs(using: &random) }
                let seed = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
                print("storm with seed \(seed)")
                let count = try KillStorm(seed: seed).run(until: min(deadline, .now + .seconds(30)))
                kills += count.allKills
                stormed.acknowledged += count.acknowledged
                rounds += 1
                print(
                    "storm: \(count.allKills) kills (\(count.kills.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))), "
                        + "\(count.stops) stops, \(count.locksTaken) locks taken, \(count.acknowledged) records acknowledged "
                        + "and all seen, \(count.unacknowledged) seen without"
                )
            } while .now < deadline
            print("kill: \(rounds) storms, \(stormed.acknowledged) records acknowledged in them")
        }
        print("kill: \(kills) processes killed, nothing refuted")
    }

    private func everyPoint() throws -> Int {
        var kills = 0
        for operation in TracedOperation.allCases where only ?? operation.rawValue == operation.rawValue {
            for hasSurvivor in operation.companies {
                let campaign = KillPoints(
                    operation,
                    hasSurvivor: hasSurvivor,
                    stride: point == nil ? 1 : .max,
                    first: point ?? 0
                )
                let count = try campaign.run()
                kills += count.kills
                print(
                    "\(operation.rawValue), \(hasSurvivor ? "beside another writer" : "alone"): "
                        + "\(count.kills) kills, every one of \(count.points) points"
                )
                fflush(nil)
            }
        }
        return kills
    }

    private func pairs(using random: inout SeededGenerator) throws -> Int {
        var kills = 0
        for second in KillPairs.Second.allCases {
            for first in KillPairs.firsts {
                let count = try KillPairs(first, second).run(sample: 12, using: &random)
                kills += count.kills
            }
        }
        print("pairs of deaths: \(kills) kills")
        fflush(nil)
        return kills
    }
}
