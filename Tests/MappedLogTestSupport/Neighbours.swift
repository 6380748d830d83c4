import Foundation
import Glibc
import MappedLog
public import SystemPackage
import _CTestSupport

/// Other users beside a log, and logs that strangers made.
public enum Neighbours {
    /// Why nobody can be another user here, or nil.
    public static var obstacle: String? {
        if geteuid() != 0 { return "needs root, to become another user" }
        return unsafe access("/usr/bin/setpriv", X_OK) == 0 ? nil : "needs setpriv(1)"
    }

    private static let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    private static let readable: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead]

    /// A process of another user, who may only read, tries everything, takes every lock and wakes everybody, while
    /// others append, commit, compact, open and close.
    ///
    /// - Returns: How many things it tried, how many locks it took, and how many records were appended meanwhile.
    public static func readOnlyUser(until deadline: ContinuousClock.Instant) throws
        -> (tries: UInt64, locks: UInt64, records: UInt64)
    {
        let scene = try Scene(LogOptions(segmentSize: 64 << 10, permissions: readable, durability: .never))
        // Board and directory are the test's own means; the log stays as it was made.
        _ = unsafe chmod(scene.directory.string, 0o1777)
        _ = unsafe chmod(scene.directory.appending("board").string, 0o666)
        let log = try Log.open(at: scene.log, opening: OpenOptions(stallTimeout: .seconds(5)))
        try log.tailer(named: "owned").commit()
        let appender = try scene.appender(0, threads: 2, ["--mix", "mixed", "--pace", "200000"])
        let neighbour = try scene.worker("neighbour", ["--writer", "\(appender.process.id)"], through: nobody)
        let answer = try neighbour.line(within: 30)
        guard answer == "nothing succeeded" else {
            throw Refuted("who may only read: \(answer ?? neighbour.lastLine)")
        }
        let tries = scene.board[.tries]
        let taker = try scene.worker("take-locks", ["--read-only"], through: nobody)
        let stopped = try scene.tailer(["--read-only"], through: nobody)
        // A tailer that is stopped in the midst of reading.
        stopped.process.send(SIGSTOP)
        repeat {
            for _ in 0..<20 { try log.append([UInt8].record(writer: 50, counter: 0, byteCount: 2000)) }
            try log.sync()
            try log.tailer(named: "owned").commit()
            _ = try Compactor.compact(at: scene.log)
            try Log.open(at: scene.log, opening: OpenOptions(recoveryTimeout: .seconds(5))).close()
        } while .now < deadline
        stopped.process.send(SIGCONT)
        for process in [neighbour, taker, appender.process] where process.hasEnded {
            throw Refuted("a process ended that nobody killed: \(process.lastLine)")
        }
        scene.board[.stop] = 1
        guard try appender.process.wait(upTo: 30) == .exited(0) else {
            throw Refuted("beside a stranger an appender failed: \(appender.process.lastLine)")
        }
        for entry in appender.entries where scene.board[entry, .stalls] > 0 {
            throw Refuted("a stranger stalled an appender")
        }
        let records = try log.nextSequence
        try log.close()
        _ = try scene.finish([stopped], records: records)
        guard try Maintenance.verify(at: scene.log).isWhole else { throw Refuted("damage beside a stranger") }
        return (tries, scene.board[.locks], records)
    }

    /// Who may not write `live/waiters` sees every record all the same, by polling.
    ///
    /// - Returns: How many records it saw.
    public static func pollingUser(records: UInt64 = 2000) throws -> UInt64 {
        let scene = try Scene(LogOptions(segmentSize: 64 << 10, permissions: readable, durability: .never))
        _ = unsafe chmod(scene.directory.string, 0o777)
        _ = unsafe chmod(scene.directory.appending("board").string, 0o666)
        let tailer = try scene.tailer(["--read-only"], through: nobody)
        let appender = try scene.appender(0, ["--count", "\(records)", "--mix", "plain", "--pace", "100000"])
        guard try appender.process.wait(upTo: 120) == .exited(0) else { throw Refuted(appender.process.lastLine) }
        let report = try scene.finish([tailer], records: records, within: 20)[0]
        return try scene.check(report).acknowledged
    }

    /// In the place of each file of a log there is a symbolic link to a file that is just as good: none is written
    /// through, and none is taken for the log's.
    ///
    /// - Returns: How many files were replaced.
    public static func symbolicLinks() throws -> Int {
        let directory = try TemporaryDirectory(inMemory: true)
        var count = 0
        for number in 0... {
            let path = directory.path.appending("log-\(number)")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10))
            try log.append([1, 2, 3])
            try log.tailer(named: "linked").commit()
            try log.close()
            let files = try FileManager.default.subpathsOfDirectory(atPath: path.string).sorted().filter {
                try FileManager.default.attributesOfItem(atPath: path.appending($0).string)[.type] as? FileAttributeType
                    == .typeRegular
            }
            guard number < files.count else { break }
            let file = path.appending(files[number]).string
            let target = directory.path.appending("target-\(number)").string
            try FileManager.default.moveItem(atPath: file, toPath: target)
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: target)
            let before = try Data(contentsOf: URL(filePath: target))
            let succeeded = succeeds {
                let log = try Log.open(at: path)
                try log.append([4])
                try log.tailer(named: "linked").commit()
                try log.close()
            }
            guard try Data(contentsOf: URL(filePath: target)) == before else {
                throw Refuted("written through \(file)")
            }
            if succeeded { throw Refuted("a symbolic link was taken for \(file)") }
            count += 1
        }
        for name in ["live", "tailers", "lost+found"] {
            let path = directory.path.appending("log-of-\(name)")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10))
            try log.close()
            let place = path.appending(name).string
            let target = directory.path.appending("target-of-\(name)").string
            try FileManager.default.moveItem(atPath: place, toPath: target)
            try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: target)
            let before = try FileManager.default.contentsOfDirectory(atPath: target)
            if succeeds({ try Log.open(at: path).close() }) { throw Refuted("a symbolic link was taken for \(place)") }
            if succeeds({ try Maintenance.destroy(at: LogLocation(path)) }) {
                throw Refuted("removed through \(place)")
            }
            guard try FileManager.default.contentsOfDirectory(atPath: target) == before else {
                throw Refuted("written through \(place)")
            }
            count += 1
        }
        return count
    }

    /// Directories that another user made first are no place for a log; a log that he may write to is.
    public static func squatted() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        func run(_ arguments: [String]) throws {
            guard try ChildProcess(nobody + arguments).wait(upTo: 20) == .exited(0) else {
                throw Refuted("\(arguments)")
            }
        }
        func sticky(_ path: FilePath) throws {
            guard unsafe chmod(path.string, 0o1777) == 0 else { throw Errno(rawValue: errno) }
        }
        try sticky(directory.path)
        for name in ["", "live", "tailers", "lost+found"] {
            let path = directory.path.appending("squatted\(name)")
            if !name.isEmpty {
                try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
                try sticky(path)
            }
            try run(["/usr/bin/mkdir", "-m", "777", (name.isEmpty ? path : path.appending(name)).string])
            var code: LogError.Code?
            do throws(LogError) { _ = try Log.create(at: path) } catch { code = error.code }
            guard code == .occupied else { throw Refuted("\(path): \(code?.rawValue ?? "created")") }
        }
        let path = directory.path.appending("shared")
        let everybody: FilePermissions = [.ownerReadWrite, .groupReadWrite, .otherReadWrite]
        let log = try Log.create(at: path, options: LogOptions(permissions: everybody))
        try log.append([1])
        try log.close()
        // A log that is there goes on for all whom its permissions let in.
        let mlog = builtProgram("mlog").string
        try run(["/bin/sh", "-c", "echo two | '\(mlog)' append '\(path)'"])
        guard try Log.openReadOnly(at: path).nextSequence == 2 else { throw Refuted("another user could not append") }
    }

    private static func succeeds(_ body: () throws -> Void) -> Bool {
        do { try body() } catch { return false }
        return true
    }

    /// Logs with anything in them, with right checksums most of the time: a process with little memory and little time reads
    /// each in every way.
    ///
    /// What is refuted stays where `keeping` says, as `stranger-SEED`.
    ///
    /// - Returns: How many of them were read, and how many refused.
    public static func strangersLogs(
        _ number: Int,
        keeping: FilePath? = nil,
        using random: inout some RandomNumberGenerator
    ) throws -> (read: Int, refused: Int) {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path.appending("log")
        var counts = (read: 0, refused: 0)
        for _ in 0..<number {
            let seed = UInt64.random(in: .min ... .max, using: &random)
            var choices = SeededGenerator(seed: seed)
            try? FileManager.default.removeItem(atPath: path.string)
            try StrangersLog(path).forge(using: &choices)
            do {
                if try readStranger(path) { counts.read += 1 } else { counts.refused += 1 }
            } catch {
                guard let keeping else { throw Refuted("a stranger's log: \(error)") }
                // Its identity and salt are random: no seed makes it again.
                let kept = keeping.appending("stranger-\(seed)")
                try FileManager.default.copyItem(atPath: path.string, toPath: kept.string)
                throw Refuted("\(error)\n  tools/torture neighbours --replay \(kept)")
            }
        }
        return counts
    }

    /// A process with little memory and little time reads a log in every way.
    ///
    /// - Throws: ``Refuted`` where it ends otherwise than by itself.
    /// - Returns: Whether it was read to its end; else it was refused, at once or where it is wrong.
    public static func readStranger(_ path: FilePath) throws -> Bool {
        let reader = try ChildProcess([
            builtProgram("MappedLogTestWorker").string, "read-stranger", "--log", path.string,
        ])
        let answer = try reader.line(within: 60)
        let exit = try reader.wait(upTo: 20)
        guard exit == .exited(0), answer == "read" || answer == "refused" else {
            throw Refuted("a stranger's log: \(exit), \(answer ?? "")")
        }
        return answer == "read"
    }
}
