import Foundation
import Glibc
import MappedLog
import SystemPackage
import _CTestSupport

/// File systems that run full, and disks that refuse what a file system gave them.
public struct FailingDisk: Sendable {
    private let kind: SmallDisk.Kind

    /// Creates a campaign on one kind of file system.
    public init(_ kind: SmallDisk.Kind) { self.kind = kind }

    /// Does everything once with so little room left, and then with more and more: each kind of write meets the end of
    /// the disk in turn.
    ///
    /// - Returns: How often, and how often something failed.
    public func runFull(leaving amounts: some Sequence<Int>) throws -> (runs: Int, failed: Int) {
        var failed = 0
        var runs = 0
        for amount in amounts {
            let disk = try SmallDisk(kind)
            try disk.fill(leaving: amount)
            let directory = try TemporaryDirectory()
            let board = try Board(directory.path.appending("board"))
            let worker = try ChildProcess([
                builtProgram("MappedLogTestWorker").string, "script", "--log", disk.path.appending("log").string,
                "--board", directory.path.appending("board").string, "--entry", "0", "--copy",
                disk.path.appending("copy").string,
            ])
            var lines: [String] = []
            while let line = try worker.line(within: 60) { lines.append(line) }
            let exit = try worker.wait(upTo: 10)
            do {
                guard exit == .exited(0), lines.last == "done" else { throw Refuted("\(exit)") }
                try disk.free()
                try ScriptCheck(board: board, log: disk.path.appending("log"), copy: disk.path.appending("copy")).run()
            } catch {
                throw Refuted("\(kind.rawValue) with \(amount) bytes left: \(error); the process said: \(lines)")
            }
            runs += 1
            if lines.count > 1 { failed += 1 }
        }
        return (runs, failed)
    }

    /// Lets flushes fail, because there is no room below the file system; then gives room back, mounts it anew, and opens
    /// the log.
    ///
    /// - Returns: How many records were durable before, and were there afterwards.
    public func runRefusing() throws -> UInt64 {
        for _ in 0..<10 {
            if let durable = try runRefusingOnce() { return durable }
        }
        throw Refuted("\(kind.rawValue): the disk refused the next segment ten times before it refused a flush")
    }

    /// Nil: there was no room for the next segment first, which is a full disk.
    private func runRefusingOnce() throws -> UInt64? {
        let disk = try SmallDisk(kind)
        let log = disk.path.appending("log")
        let directory = try TemporaryDirectory()
        let board = try Board(directory.path.appending("board"))
        try Log.create(at: log, options: LogOptions(segmentSize: 1 << 20, durability: .never)).close()
        func worker(_ entry: Int, _ flags: [String]) throws -> ChildProcess {
            let process = try ChildProcess(
                [
                    builtProgram("MappedLogTestWorker").string, "fail-to-sync", "--log", log.string, "--board",
                    directory.path.appending("board").string, "--entry", "\(entry)",
                ] + flags
            )
            guard try process.line(within: 20) == "ready" else { throw Refuted("a process could not start") }
            return process
        }
        let writer = try worker(0, [])
        var lines: [String] = []
        func read(_ process: ChildProcess) throws {
            while let line = try process.line(within: 60) { lines.append(line) }
            let exit = try process.wait(upTo: 20)
            guard exit == .exited(0) else { throw Refuted("\(kind.rawValue): \(exit); the processes said: \(lines)") }
        }
        let watcher = try worker(1, ["--only-watches"])
        // Some flushes succeed before one fails.
        try disk.fillBelow(leaving: 4 << 20)
        board[.go] = 1
        try read(writer)
        board[.signal] = 1
        try read(watcher)
        if lines.first == "sync: diskFull" { return nil }
        for (step, times) in [("sync", 1), ("append", 2), ("again", 2)] {
            guard lines.count(where: { $0 == "\(step): poisoned" }) == times else {
                throw Refuted("\(kind.rawValue): a flush failed, and the processes said: \(lines)")
            }
        }
        try disk.freeBelow()
        try disk.remount()
        return try check(log, board)
    }

    /// Takes all room while a log is open whose pages are flushed: what was reserved for it is still its own.
    ///
    /// - Returns: How many records were appended on the full disk.
    public func runFilling() throws -> UInt64 {
        let disk = try SmallDisk(kind)
        let log = disk.path.appending("log")
        let directory = try TemporaryDirectory()
        let board = try Board(directory.path.appending("board"))
        try Log.create(at: log, options: LogOptions(segmentSize: 64 << 10, durability: .never)).close()
        let writer = try ChildProcess([
            builtProgram("MappedLogTestWorker").string, "fail-to-sync", "--log", log.string, "--board",
            directory.path.appending("board").string, "--entry", "0", "--before", "10",
        ])
        guard try writer.line(within: 20) == "ready" else { throw Refuted("a process could not start") }
        try disk.fill(leaving: 0)
        board[.go] = 1
        var lines: [String] = []
        while let line = try writer.line(within: 60) { lines.append(line) }
        let exit = try writer.wait(upTo: 20)
        let stopped = lines.first == "sync: diskFull"
        guard exit == .exited(0), stopped, lines.allSatisfy({ $0.hasSuffix(": done") || $0.hasSuffix(": diskFull") })
        else { throw Refuted("\(kind.rawValue): \(exit); the process said: \(lines)") }
        try disk.free()
        let appended = board[0, .acknowledged]
        let reader = try Log.openReadOnly(at: log)
        var tailer = try reader.tailer()
        for counter in 0..<appended {
            guard let record = try tailer.next(), RecordName(record) == RecordName(writer: 0, counter: counter) else {
                throw Refuted("\(kind.rawValue): record \(counter) is gone, or another")
            }
        }
        guard try Maintenance.verify(at: log).isWhole else { throw Refuted("\(kind.rawValue): damage") }
        return appended - 10
    }

    private func check(_ path: FilePath, _ board: Board) throws -> UInt64 {
        let durable = board[0, .start]
        let log = try Log.open(at: path)
        var tailer = try log.tailer()
        var count: UInt64 = 0
        while let record = try tailer.next() {
            guard record.sequence == count, RecordName(record) == RecordName(writer: 0, counter: count) else {
                throw Refuted("\(kind.rawValue): record \(record.sequence) is another than was appended")
            }
            count += 1
        }
        guard count >= durable else { throw Refuted("\(kind.rawValue): \(durable) were durable, \(count) are there") }
        guard count <= board[0, .acknowledged] + 1 else { throw Refuted("\(kind.rawValue): \(count) are there") }
        try log.append([1, 2, 3])
        try log.sync()
        try log.close()
        guard try Maintenance.verify(at: path).isWhole else { throw Refuted("\(kind.rawValue): damage") }
        return durable
    }
}
