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
        let infos = try Log.openReadOnly(at: tailers.log).namedTailers()
        if json {
            try JSONReport.print(infos)
            return
        }
        var report = TextReport()
        if infos.isEmpty {
            report.add(line: "no named tailers")
        } else {
            report.add(
                table: ["tailer", " position", " sequence", " lag", "open", "protecting"],
                rows: infos.map {
                    [
                        $0.name, "\($0.position)", "\($0.sequence)", "\($0.lag)", $0.isOpen ? "yes" : "no",
                        $0.protecting ? "yes" : "no",
                    ]
                }
            )
        }
        try report.print()
    }
}
