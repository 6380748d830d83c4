import ArgumentParser

/// The campaigns that try to refute a promise for as long as they are asked to: each is a subcommand, in a file of its
/// own.
@main
struct Torture: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mlog-torture",
        abstract: "Tries to refute what MappedLog promises.",
        discussion:
            """
            Each campaign prints its seed, what it did, and how to replay what it found. Exit status 1: it found something. \
            One more, `fuzz`, is a program of its own: tools/torture starts it.
            """,
        subcommands: [CrashImages.self, Kill.self, Media.self, Faults.self, NeighboursCampaign.self]
    )
}

/// What all campaigns take.
struct CampaignOptions: ParsableArguments {
    @Option(help: "How long it goes on.")
    var seconds = 60
    @Option(help: "The same seed makes the same choices.")
    var seed: UInt64 = .random(in: 1...UInt64(UInt32.max))

    /// When to stop.
    var deadline: ContinuousClock.Instant { .now + .seconds(seconds) }
}
