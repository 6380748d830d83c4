import ArgumentParser
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// The process at the other end of the tests with several processes: each role is a subcommand.
@main
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        subcommands: [
            Append.self, Tail.self, Count.self, AppendAndStop.self, Fork.self, ForkAndDie.self, ForkBeside.self,
            ForkTwice.self, TryToWrite.self, Brim.self,
            Operate.self, Maintain.self, TakeLocks.self, TailNamed.self, Script.self, FailToSync.self, Neighbour.self,
            ReadStranger.self, HoldFlushLock.self, WithoutDescriptors.self,
        ])

    static func main() {
        test_die_with_parent()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as LogError {
            say("error \(error.code.rawValue) \(error)")
            Glibc.exit(3)
        } catch {
            exit(withError: error)
        }
    }
}

/// Prints a line that the test waits for.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// Which log, and which board.
struct Place: ParsableArguments {
    @Option var log: String
    @Option var board: String

    var path: FilePath { FilePath(log) }

    func openBoard() throws -> Board { try Board(FilePath(board)) }
}

/// How a worker opens its log for writing.
struct Opening: ParsableArguments {
    enum Policy: String, ExpressibleByArgument {
        case never
        case interval
        case everyAppend
    }

    @Option var durability = Policy.never
    @Option var stallMilliseconds = 10_000
    /// Makes the log if it isn't there, with segments of this size.
    @Option var create: UInt64?

    func open(_ path: FilePath) throws(LogError) -> Log {
        let durability: Durability =
            switch durability {
            case .never: .never
            case .interval: .interval(.milliseconds(10))
            case .everyAppend: .everyAppend
            }
        let opening = OpenOptions(durability: durability, stallTimeout: .milliseconds(stallMilliseconds))
        guard let create else { return try Log.open(at: path, opening: opening) }
        let options = LogMedium(of: path).unbounded(LogOptions(segmentSize: create))
        return try Log.openOrCreate(at: path, options: options, opening: opening)
    }
}
