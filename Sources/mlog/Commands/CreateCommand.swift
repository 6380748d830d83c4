import ArgumentParser
import MappedLog
import SystemPackage

/// `mlog create`: makes an empty log.
struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create an empty log.",
        discussion: """
            What is chosen here is kept in the log. A segment is one file of a log, allocated as a whole before it is \
            used; a record has to fit into one.

            Examples:
              mlog create /var/log/orders
              mlog create --segment-size 256MiB --durability 1MiB /var/log/orders
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Option(help: ArgumentHelp("Bytes of a segment: 64KiB to 4GiB, a multiple of 64KiB.", valueName: "size"))
    var segmentSize = ByteSize(bytes: LogOptions().segmentSize)

    @Option(help: ArgumentHelp("Who may read and write the log, as chmod takes it in digits.", valueName: "mode"))
    var permissions = PermissionsArgument(LogOptions().permissions)

    @Option(help: DurabilityArgument.help, transform: DurabilityArgument.parse)
    var durability = DurabilityArgument(LogOptions().durability)

    func validate() throws {
        let step: UInt64 = 64 << 10
        guard (step...4 << 30).contains(segmentSize.bytes), segmentSize.bytes.isMultiple(of: step) else {
            throw ValidationError("--segment-size takes 64KiB to 4GiB, a multiple of 64KiB, not \(segmentSize).")
        }
    }

    func run() throws {
        var options = LogOptions()
        options.segmentSize = segmentSize.bytes
        options.permissions = permissions.permissions
        options.durability = durability.durability
        do {
            try Log.create(at: log.path, options: options).close()
        } catch {
            throw log.explain(error)
        }
    }
}
