import Glibc
public import MappedLog
import Synchronization
public import SystemPackage

/// A medium on which a test is run: what holds on one has to hold on all.
public enum LogMedium: String, CaseIterable, Sendable {
    case file
    case sharedMemory
    case systemV

    private static let count = Atomic(0)

    /// The medium of a path that entry points take.
    public init(of path: FilePath) {
        self = path.string.hasPrefix("shm:") ? .sharedMemory : path.string.hasPrefix("sysv:") ? .systemV : .file
    }

    /// Where a log of this test may be: nothing is there, and nobody else puts anything there.
    public func newPath(in directory: FilePath, _ name: String = "log") -> FilePath {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        return switch self {
        case .file: directory.appending(name)
        case .sharedMemory: FilePath("shm:test-\(getpid())-\(number)")
        // A process's id has 22 bits at most.
        case .systemV: FilePath("sysv:\(UInt32(truncatingIfNeeded: getpid()) << 10 | UInt32(number % 1024))")
        }
    }

    /// The options with a bound that keeps whatever a test appends.
    public func unbounded(_ options: LogOptions) -> LogOptions {
        var options = options
        guard self != .file else { return options }
        options.retention = Retention(segments: 1000)
        // Two of the default size, of each of several logs, would be much of a small machine.
        options.segmentSize = min(options.segmentSize, 1 << 20)
        return options
    }

    /// Removes a log, if it is there; what lies in a directory goes with that.
    public func remove(_ path: FilePath) {
        guard self != .file, let location = try? LogLocation(path) else { return }
        try? Maintenance.destroy(at: location, isForced: true)
    }
}
