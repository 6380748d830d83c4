import ArgumentParser
import Glibc

/// The command `mlog`: what can be done to a log from a shell.
@main
struct Mlog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mlog",
        abstract: "Write, follow and look after logs of MappedLog.",
        discussion: """
            A log is a directory of segments. Any number of processes append to it and tail it at the same time, \
            with no server between them.

            Examples:
              mlog create /var/log/orders --segment-size 256MiB
              generate | mlog append /var/log/orders
              mlog tail -f /var/log/orders
              mlog tail --from -5m --format json /var/log/orders | jq .payload
              mlog verify /var/log/orders

            Sizes are written as 64KiB, 1.5GiB or 10MB (B, kB, MB, GB, TB and KiB, MiB, GiB, TiB; K, M, G and T are \
            the binary ones), durations as 10ms, 1.5s, 5m, 1h30m or 2d, and times as in RFC 3339, with up to nine \
            digits of a second: 2025-11-23T12:28:00.123456789Z.

            Exit status: 0 when it is done, 1 when the log or the system said no, 2 when the usage was wrong. Who \
            reads the output may go away at any time: that ends the command quietly, with status 0.
            """,
        version: "0.1.0",
        subcommands: [
            CreateCommand.self,
            AppendCommand.self,
            TailCommand.self,
            InfoCommand.self,
            VerifyCommand.self,
            RecoverCommand.self,
            RepairCommand.self,
            CompactCommand.self,
            RestoreCommand.self,
            RetainCommand.self,
            SnapshotCommand.self,
            TailersCommand.self,
            BenchCommand.self,
            BenchWorkerCommand.self,
        ]
    )

    /// Parses the command line, runs the command it names and exits with its status.
    static func main() {
        StandardStreams.occupy()
        // A write to a pipe nobody reads is then an error, and ends the command quietly.
        _ = signal(SIGPIPE, SIG_IGN)
        LostMapping.watch()
        let status: ExitStatus
        do {
            var command = try parseAsRoot()
            try command.run()
            status = .done
        } catch {
            status = ExitStatus(reporting: error)
        }
        Glibc.exit(status.code)
    }
}
