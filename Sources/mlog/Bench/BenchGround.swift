import FoundationEssentials
import Glibc
import MappedLog
import SystemPackage

/// The directory in which a benchmark makes its logs; it goes away with the last reference, and so do those in memory.
final class BenchGround {
    let directory: FilePath
    /// Of the directory, and what logs in memory begin with; like no other, whatever a container says of process ids.
    private let name: String
    let medium: BenchMedium
    private let segmentSize: UInt64
    private let isKept: Bool
    private var count = 0
    /// Logs in memory, which no directory takes with it.
    private var logsInMemory: Set<FilePath> = []
    /// More than any kind of work appends by default.
    private static let segmentsInMemory = 16

    /// Makes the directory; with logs that are kept it stays there, and of those in memory the names are told.
    init(_ medium: BenchMedium, in parent: FilePath, segmentSize: UInt64, isKept: Bool) throws {
        name = "mlog-bench.\(String(UInt64.random(in: .min ... .max), radix: 16))"
        directory = parent.appending(name)
        self.medium = medium
        self.segmentSize = segmentSize
        self.isKept = isKept
        do {
            try FileManager.default.createDirectory(atPath: parent.string, withIntermediateDirectories: true)
            // Whoever is there already is somebody else.
            try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: false)
        } catch {
            let cause = (error as? CocoaError)?.underlying as? POSIXError
            let number = Errno(rawValue: cause?.code.rawValue ?? EIO)
            throw CommandFailure("\(parent): \(number); give a directory that can be written to with --dir")
        }
    }

    deinit {
        if isKept, medium == .file { return }
        var errors = BufferedOutput(to: .standardError)
        for log in logsInMemory.sorted(by: { $0.string < $1.string }) {
            if isKept {
                errors.write("kept \(log)\n")
            } else {
                try? Maintenance.destroy(at: LogLocation(log), isForced: true)
            }
        }
        try? errors.flush()
        try? FileManager.default.removeItem(atPath: directory.string)
    }

    /// A path where nothing is yet.
    func newPath(_ name: String) -> FilePath {
        count += 1
        switch medium {
        case .file: return directory.appending("\(name).\(count)")
        case .shm: return FilePath("shm:\(self.name).\(name).\(count)")
        case .sysv: return FilePath("sysv:\(Int32.random(in: 1 ... .max))")
        }
    }

    /// A new log, open for appending.
    func newLog(_ name: String, durability: Durability = .never, segmentSize: UInt64? = nil) throws -> Log {
        var options = LogOptions(segmentSize: segmentSize ?? self.segmentSize, durability: durability)
        let path = newPath(name)
        if medium != .file {
            options.retention = Retention(segments: Self.segmentsInMemory)
        }
        let log = try Log.create(at: path, options: options)
        if medium != .file { logsInMemory.insert(path) }
        return log
    }

    /// A log of that many records, closed, so that all of it is on the disk, and how many of them are in sealed segments:
    /// the others can't be compacted.
    func filledLog(_ name: String, records: Int, payloads: Payloads) throws -> (path: FilePath, sealed: Int) {
        let log = try newLog(name)
        for index in 0..<records {
            if index % 100_000 == 0 { try Bench.checkInterruption() }
            try payloads.append(index, to: log)
        }
        let sealed = try log.info().segments.filter { $0.state == "sealed" }.reduce(0) { $0 + $1.records }
        try log.close()
        guard sealed > 0 else { throw CommandFailure("too few records to seal a segment; give more with --records") }
        return (log.path, Int(sealed))
    }

    func remove(_ path: FilePath) throws {
        if isKept { return }
        if medium == .file { return try FileManager.default.removeItem(atPath: path.string) }
        try Maintenance.destroy(at: LogLocation(path))
        logsInMemory.remove(path)
    }
}
