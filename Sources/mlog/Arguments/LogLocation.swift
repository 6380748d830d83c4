import ArgumentParser
import Glibc
import MappedLog
import SystemPackage

/// Where a log lives.
struct LogLocation: ExplainedArgument, CustomStringConvertible {
    static let help = ArgumentHelp("The log: the path of its directory.", valueName: "log")
    static let expectation = "the path of a directory ('./shm:NAME' if it is called so: logs in memory have no command)"

    let path: FilePath

    init?(argument: String) {
        // Names of logs in memory, not of directories; a directory so called is `./shm:NAME`.
        if argument.isEmpty || argument.hasPrefix("shm:") || argument.hasPrefix("sysv:") { return nil }
        path = FilePath(argument)
    }

    var description: String { path.string }

    /// Says what failed a creation, if that is the directory the log was to be made in.
    func explain(_ error: LogError) -> any Error {
        guard error.errno == .noSuchFileOrDirectory else { return error }
        let parent = path.removingLastComponent()
        // "y" lies in the current directory, which is there.
        guard !parent.isEmpty, unsafe access(parent.string, F_OK) != 0 else { return error }
        return CommandFailure("\(path): its parent directory \(parent) is missing; make it with 'mkdir -p \(parent)'")
    }
}
