import ArgumentParser
import MappedLog

/// `mlog list`: lists the logs in memory.
struct ListCommand: ParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case shm
        case sysv

        var medium: LogLocation.Medium { self == .shm ? .sharedMemory : .systemV }
    }

    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the logs in memory.",
        discussion: """
            Those of this user, and of all users for root: in /dev/shm (shm), in System V shared memory (sysv), or, \
            with neither given, in both. Each takes memory until 'mlog destroy' removes it or the machine stops. \
            Attached is a log that some process has mapped. Logs in directories are wherever they were put: they are \
            not listed.

            Examples:
              mlog list shm
              mlog list --json | jq -r '.[].location'
            """
    )

    @Argument(help: "Where to look.")
    var kind: Kind?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let logs = try Maintenance.list(kind?.medium)
        if json { return try JSONReport.print(logs) }
        var report = TextReport()
        if logs.isEmpty {
            report.add(line: "no logs in memory")
        } else {
            report.add(
                table: ["log", " size", " writers", "attached", "state"],
                rows: logs.map {
                    [
                        $0.location, ByteSize(bytes: $0.bytes).description, "\($0.writers)",
                        $0.isAttached ? "yes" : "no", Self.words(for: $0.state),
                    ]
                }
            )
        }
        try report.print()
    }

    private static func words(for state: ListedLog.State) -> String {
        switch state {
        case .complete: "complete"
        case .unfinished: "unfinished: 'mlog destroy' removes it"
        case .earlierBoot: "of an earlier boot: 'mlog destroy' removes it"
        }
    }
}
