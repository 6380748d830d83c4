import FoundationEssentials
import Glibc
import MappedLog
import SystemPackage

/// The directory in which a benchmark makes its logs; it goes away with the last reference.
final class BenchGround {
    let directory: FilePath
    let medium = "file"
    private let segmentSize: UInt64
    private let isKept: Bool
    private var count = 0

    /// Makes the directory; one that is kept stays there.
    init(in parent: FilePath, segmentSize: UInt64, isKept: Bool) throws {
        directory = parent.appending("mlog-bench.\(getpid())")
        self.segmentSize = segmentSize
        self.isKept = isKept
        try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
    }

    deinit {
        if !isKept { try? FileManager.default.removeItem(atPath: directory.string) }
    }

    /// A path where nothing is yet.
    func newPath(_ name: String) -> FilePath {
        count += 1
        return directory.appending("\(name).\(count)")
    }

    /// A new log, open for appending.
    func newLog(_ name: String, durability: Durability = .never, segmentSize: UInt64? = nil) throws -> Log {
        let options = LogOptions(segmentSize: segmentSize ?? self.segmentSize, durability: durability)
        return try Log.create(at: newPath(name), options: options)
    }

    /// A log of that many records, closed, so that all of it is on the disk.
    func filledLog(_ name: String, records: Int, payloads: Payloads) throws -> FilePath {
        let log = try newLog(name)
        for index in 0..<records {
            if index % 100_000 == 0 { try Bench.checkInterruption() }
            try payloads.append(index, to: log)
        }
        try log.close()
        return log.path
    }

    func remove(_ path: FilePath) throws {
        if !isKept { try FileManager.default.removeItem(atPath: path.string) }
    }
}
