import ArgumentParser
import Glibc
import MappedLog
import SystemPackage

/// Where a log lives, as an argument: a path, `shm:NAME` or `sysv:KEY`.
extension LogLocation: ExplainedArgument {
    static let help = ArgumentHelp(
        "The log: the path of its directory, shm:NAME or sysv:KEY for one in memory.",
        valueName: "log"
    )
    static let expectation = "the path of a directory, shm:NAME or sysv:KEY ('./shm:NAME' for a directory called so)"

    init?(argument: String) {
        do throws(LogError) { try self.init(argument) } catch { return nil }
    }

    static func parse(_ argument: String) throws -> LogLocation {
        do throws(LogError) { return try LogLocation(argument) } catch {
            guard let expected = error.expected else { throw error }
            throw ValidationError("give \(expected)")
        }
    }

    /// Says what failed a creation, if that is the directory the log was to be made in.
    func explain(_ error: LogError) -> any Error {
        guard case .file(let path) = self, error.errno == .noSuchFileOrDirectory else { return error }
        let parent = path.removingLastComponent()
        // "y" lies in the current directory, which is there.
        guard !parent.isEmpty, unsafe access(parent.string, F_OK) != 0 else { return error }
        return CommandFailure("\(path): its parent directory \(parent) is missing; make it with 'mkdir -p \(parent)'")
    }
}
