import ArgumentParser
import MappedLog

/// `mlog tailers`: looks after the named tailers of a log.
struct TailersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tailers",
        abstract: "List, remove or reset the named tailers of a log.",
        usage: """
            mlog tailers <log> [list [--json]]
            mlog tailers <log> remove <name>
            mlog tailers <log> reset <name> --to <place>
            """,
        discussion: """
            A named tailer is a place kept in the log under a name, for who goes on reading there later: see 'mlog \
            tail --as'.

            Examples:
              mlog tailers /var/log/orders
              mlog tailers /var/log/orders remove billing
              mlog tailers /var/log/orders reset billing --to -1h
            """,
        subcommands: [ListTailersCommand.self, RemoveTailerCommand.self, ResetTailerCommand.self],
        defaultSubcommand: ListTailersCommand.self
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation
}
