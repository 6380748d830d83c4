import ArgumentParser
import Glibc
import MappedLog
import SystemPackage

/// `mlog destroy`: removes a log.
struct DestroyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy",
        abstract: "Remove a log, with everything in it.",
        discussion: """
            It asks before it does so; where there is no terminal to ask on, give --yes. While a writer has the log \
            open it refuses, unless forced: then the writers find the log gone, and can append no more. A tailer reads \
            what it has mapped to its end.

            What an interrupted creation left of a log in memory is removed as well, and a log of an earlier boot.

            Examples:
              mlog destroy shm:quotes
              mlog destroy --yes --force sysv:0x4d4c
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Don't ask.")
    var yes = false

    @Flag(help: "Remove it even while writers have it open.")
    var force = false

    func run() throws {
        if !yes { try ask() }
        try Maintenance.destroy(at: log, isForced: force)
    }

    private func ask() throws {
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
            throw CommandFailure("\(log): there is no terminal to ask on whether it is to be removed; give --yes")
        }
        let records = (try? Log.openReadOnly(at: log).info()).map { info in
            let count = info.nextSequence - min(info.firstSequence, info.nextSequence)
            return count == 1 ? " with 1 record" : " with \(count) records"
        }
        var errors = BufferedOutput(to: .standardError)
        errors.write("Remove the log \(log)\(records ?? "")? [y/N] ")
        try errors.flush()
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
            throw CommandFailure("\(log): not removed")
        }
    }
}
