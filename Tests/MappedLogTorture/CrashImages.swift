import ArgumentParser

/// Builds the disks that a power cut could leave, recovers them, and looks whether what was promised is there.
struct CrashImages: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash-images",
        abstract: "Recovers the disks that a power cut could leave."
    )

    @OptionGroup var campaign: CampaignOptions

    func run() throws {
        print("crash-images: seed \(campaign.seed)")
        throw ValidationError("crash-images is being built")
    }
}
