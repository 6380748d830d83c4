import ArgumentParser
import MappedLog

/// `mlog tailers LOG list`: lists the named tailers of a log.
struct ListTailersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the named tailers.",
        usage: "mlog tailers <log> list [--json]"
    )

    @ParentCommand var tailers: TailersCommand

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let log = try Log.openReadOnly(at: tailers.log.path)
        let end = try log.nextSequence
        let entries = try log.namedTailers().map { Entry($0, end: end) }
        if json {
            try JSONReport.print(entries)
            return
        }
        var report = TextReport()
        if entries.isEmpty {
            report.add(line: "no named tailers")
        } else {
            report.add(
                table: ["tailer", " position", " sequence", " lag", "in use"],
                rows: entries.map {
                    [$0.name, "\($0.position)", "\($0.sequence)", "\($0.lag)", $0.isInUse ? "yes" : "no"]
                }
            )
        }
        try report.print()
    }
}

extension ListTailersCommand {
    /// What is told of a named tailer.
    private struct Entry: Encodable {
        let name: String
        let position: UInt64
        let sequence: UInt64
        let lag: UInt64
        let isInUse: Bool

        init(_ info: NamedTailerInfo, end: UInt64) {
            name = info.name
            position = info.position.rawValue
            sequence = info.sequence
            // It may have gone on since the end was looked up.
            lag = end - min(info.sequence, end)
            isInUse = info.isInUse
        }
    }
}
