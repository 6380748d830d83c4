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
        repeat {
            for medium in [LogMedium.sharedMemory, .systemV] {
                let seed = UInt64.random(in: 1...UInt64(UInt32.max), using: &random)
                let count = try KillStorm(seed: seed, on: medium).run(until: min(deadline, .now + .seconds(20)))
                print("\(medium.rawValue), storm with seed \(seed): \(count)")
                let part = try MemoryCycles(on: medium).run(500, until: deadline, using: &random)
                print(
                    "\(medium.rawValue): \(part.cycles) cycles of create, append, kill and destroy, \(part.destroyed) with a log"
                )
                fflush(nil)
            }
        } while .now < deadline
        print("media: nothing refuted")
    }
}
