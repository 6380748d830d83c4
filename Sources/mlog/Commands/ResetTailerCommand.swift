import ArgumentParser
import MappedLog

/// `mlog tailers LOG reset NAME --to PLACE`: moves a named tailer.
struct ResetTailerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Move a named tailer to another place, or make one.",
        usage: "mlog tailers <log> reset <name> --to <place>"
    )

    @ParentCommand var tailers: TailersCommand

    @Argument(help: "The name of the tailer.")
    var name: String

    @Option(
        name: .customLong("to"),
        parsing: .unconditional,
        help: ArgumentHelp("Where it goes on: \(StartArgument.synopsis).", valueName: "place"),
        transform: StartArgument.parse
    )
    var place: StartArgument

    func run() throws {
        try Log.openReadOnly(at: tailers.log).resetNamedTailer(name, to: place.start)
    }
}
