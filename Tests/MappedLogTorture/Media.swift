import ArgumentParser
import Glibc
import MappedLogTestSupport

/// Logs in memory: storms of kills on them, and that nothing of them is left.
struct Media: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Kills processes on logs in memory, and destroys them.",
        discussion: "A storm that finds something names its seed: `--seed` repeats the row of them."
    )

    @OptionGroup var campaign: CampaignOptions

    func run() throws {
        print("media: seed \(campaign.seed)")
        let deadline = campaign.deadline
        var random = SeededGenerator(seed: campaign.seed)
        var (kills, cycles) = (0, 0)
        repeat {
            // Half of a minute for each medium, most of that for its storm.
            let half = min(deadline - .now, .seconds(60)) / 2
            for medium in [LogMedium.sharedMemory, .systemV] {
                let end = ContinuousClock.now + half
                let seed = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
                let count = try KillStorm(seed: seed, on: medium).run(until: end - half * 0.4)
                print("\(medium.rawValue), storm with seed \(seed): \(count)")
                let part = try MemoryCycles(on: medium).run(500, until: end, using: &random)
                print(
                    "\(medium.rawValue): \(part.cycles) cycles of create, append, kill and destroy, \(part.destroyed) with a log"
                )
                fflush(nil)
                guard count.allKills > 0, part.destroyed > 0 else {
                    throw Refuted("\(medium.rawValue): nothing was killed, or destroyed: give it more time")
                }
                kills += count.allKills
                cycles += part.cycles
            }
        } while deadline - .now > .seconds(10)
        print("media: \(kills) kills, \(cycles) cycles; nothing refuted")
    }
}
