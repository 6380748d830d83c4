import MappedLog
import MappedLogTestSupport
import Synchronization
import SystemPackage

@testable import MappedLog

/// Places for the logs of one test on one medium, all removed afterwards.
final class TemporaryLogs: Sendable {
    let medium: LogMedium
    private let directory: FilePath
    private let paths = Mutex<[String: FilePath]>([:])

    fileprivate init(_ medium: LogMedium, _ directory: FilePath) {
        self.medium = medium
        self.directory = directory
    }

    deinit {
        for path in paths.withLock({ Array($0.values) }) { medium.remove(path) }
    }

    /// The place of a log, as entry points take it; the same for the same name.
    func appending(_ name: String) -> FilePath {
        paths.withLock { paths in
            if let path = paths[name] { return path }
            let path = medium.newPath(in: directory, name)
            paths[name] = path
            return path
        }
    }
}

/// Runs a test with places for logs on a medium, which are removed afterwards.
func withTemporaryLogs<Result>(on medium: LogMedium, _ body: (TemporaryLogs) throws -> Result) throws -> Result {
    try withTemporaryDirectory { directory in
        let logs = TemporaryLogs(medium, directory)
        defer { withExtendedLifetime(logs) {} }
        return try body(logs)
    }
}

/// As the form that isn't `async`.
func withTemporaryLogs<Result>(
    on medium: LogMedium,
    _ body: (TemporaryLogs) async throws -> Result
) async throws -> Result {
    try await withTemporaryDirectory { directory in
        let logs = TemporaryLogs(medium, directory)
        defer { withExtendedLifetime(logs) {} }
        return try await body(logs)
    }
}

extension LogMedium {
    /// The smallest segments, all of which stay.
    var small: LogOptions { unbounded(.small) }
}

/// All bytes of a raw segment, whatever medium it is on.
func segmentBytes(of log: FilePath, base: UInt64 = 0) throws -> [UInt8] {
    let file = try LogPlace(at: LogLocation(log)).openForReading(base).file
    return try file.read(Int(file.byteCount), at: 0)
}
