import ArgumentParser
import MappedLog

/// `mlog tailers LOG remove NAME`: forgets a named tailer.
struct RemoveTailerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Forget a named tailer and its place.",
        usage: "mlog tailers <log> remove <name>"
    )

    @ParentCommand var tailers: TailersCommand

    @Argument(help: "The name of the tailer.")
    var name: String

    func run() throws {
        let log = try Log.openReadOnly(at: tailers.log)
        do {
            try log.removeNamedTailer(name)
        } catch {
            guard error.code == .notFound else { throw error }
            throw CommandFailure(
                "\(tailers.log): no tailer is named '\(name)'; 'mlog tailers \(tailers.log)' lists those there are"
            )
        }
    }
}
