import ArgumentParser
import MappedLog

/// `mlog recover`: makes a log whole after a crash, as the first writer would.
struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Make a log whole after a crash, as the next writer would.",
        discussion: """
            It cuts off a torn tail, keeps what it cut in lost+found, and says so. It never touches what is known to \
            be durable: damage there is for 'mlog repair'. A log with writers needs no recovery, and gets none.

            Examples:
              mlog recover /var/log/orders
              mlog recover --json /var/log/orders | jq .cutBytes
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let report = try Maintenance.recover(at: log)
        if json {
            try JSONReport.print(report)
        } else {
            var text = TextReport()
            text.add(report)
            try text.print()
        }
    }
}
