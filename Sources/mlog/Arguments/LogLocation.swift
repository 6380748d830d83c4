import ArgumentParser
import SystemPackage

/// Where a log lives.
struct LogLocation: ExpressibleByArgument, CustomStringConvertible {
    static let help = ArgumentHelp("The log: the path of its directory.", valueName: "log")
    static let defaultCompletionKind = CompletionKind.directory

    let path: FilePath

    init?(argument: String) {
        // Names of logs in memory, not of directories; a directory so called is `./shm:NAME`.
        if argument.isEmpty || argument.hasPrefix("shm:") || argument.hasPrefix("sysv:") { return nil }
        path = FilePath(argument)
    }

    var description: String { path.string }
}
