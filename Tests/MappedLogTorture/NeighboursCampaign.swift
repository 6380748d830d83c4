import ArgumentParser
import Foundation
import Glibc
import MappedLogTestSupport
import SystemPackage

/// Other users beside a log, and logs that strangers made.
struct NeighboursCampaign: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "neighbours",
        abstract: "Lets other users at a log, and reads what strangers made.",
        discussion: "A stranger's log that refutes something is kept here: `--replay` reads it again."
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "A stranger's log that was kept: read it again.")
    var replay: String?

    func run() throws {
        if let replay {
            return print(try Neighbours.readStranger(FilePath(replay)) ? "read, nothing wrong" : "refused")
        }
        print("neighbours: seed \(campaign.seed)")
        let deadline = campaign.deadline
        if let obstacle = Neighbours.obstacle {
            print("SKIPPED the other users: \(obstacle)")
        } else {
            let user = try Neighbours.readOnlyUser(until: .now + .seconds(campaign.seconds) / 4)
            print(
                "a user who may only read: \(user.tries) tries, none succeeded; \(user.locks) locks taken, and everybody woken, "
                    + "while \(user.records) records were appended"
            )
            print("a user who may not be woken: saw all \(try Neighbours.pollingUser()) records")
        }
        print("symbolic links: \(try Neighbours.symbolicLinks()) files, none was followed")
        var random = SeededGenerator(seed: campaign.seed)
        var total = (read: 0, refused: 0)
        repeat {
            let counts = try Neighbours.strangersLogs(
                50,
                keeping: FilePath(FileManager.default.currentDirectoryPath),
                using: &random
            )
            total.read += counts.read
            total.refused += counts.refused
        } while .now < deadline
        print("strangers' logs: \(total.read) were read, \(total.refused) refused")
        // Else the forging reaches little of what reads them.
        guard min(total.read, total.refused) * 10 >= total.read + total.refused else {
            throw Refuted("of the strangers' logs less than a tenth were read, or refused")
        }
        print("neighbours: nothing refuted")
    }
}
