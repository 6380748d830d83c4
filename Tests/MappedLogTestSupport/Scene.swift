import Foundation
public import MappedLog
public import SystemPackage
import _CTestSupport

/// A log in a directory of its own, the board, and what is known of each writer; all gone at the end of the test.
public final class Scene {
    private let place: TemporaryDirectory
    /// Where log, board and reports are.
    public var directory: FilePath { place.path }
    /// What the test and its processes share.
    public let board: Board
    /// Where the log is, as entry points take it.
    public let log: FilePath
    private let medium: LogMedium
    private var boardPath: FilePath { directory.appending("board") }
    private var nextEntry = 0
    private var reports = 0
    private var namedEntries: [String: Int] = [:]
    /// The incarnations of each writer thread, in order.
    public private(set) var entries: [UInt32: [Int]] = [:]

    /// Makes the directory; with options, the log too.
    public init(_ options: LogOptions? = LogOptions(durability: .never), on medium: LogMedium = .file) throws {
        place = try TemporaryDirectory()
        board = try Board(place.path.appending("board"))
        self.medium = medium
        log = medium.newPath(in: place.path)
        if let options { try Log.create(at: log, options: medium.unbounded(options)).close() }
    }

    deinit {
        // Children that a test that failed left.
        board[.stop] = 1
        medium.remove(log)
    }

    /// The worker's program, which is built beside the tests.
    public static let worker = builtProgram("MappedLogTestWorker")

    // MARK: Workers

    /// Starts a worker in a role on this scene's log.
    public func worker(_ role: String, _ arguments: [String] = [], through wrapper: [String] = []) throws
        -> ChildProcess
    {
        let place = ["--log", log.string, "--board", boardPath.string]
        return try ChildProcess(wrapper + [Self.worker.string, role] + place + arguments)
    }

    /// How many entries of the board were given away.
    public var entryCount: Int { nextEntry }

    /// The entry of the board that belongs to a name.
    public func entry(named name: String) -> Int {
        if let entry = namedEntries[name] { return entry }
        defer { nextEntry += 1 }
        namedEntries[name] = nextEntry
        return nextEntry
    }

    /// A new entry of the board for the next incarnation of a writer thread.
    public func entry(for writer: UInt32) -> Int {
        let entry = nextEntry
        nextEntry += 1
        let start = entries[writer]?.last.map { board[$0, .begun] } ?? 0
        board[entry, .start] = start
        board[entry, .begun] = start
        board[entry, .acknowledged] = start
        entries[writer, default: []].append(entry)
        return entry
    }

    /// Starts an appender; its threads are the writers `writer`, `writer + 1` and so on.
    public func appender(
        _ writer: UInt32,
        threads: Int = 1,
        _ arguments: [String] = [],
        through wrapper: [String] = []
    ) throws -> Appender {
        let first = nextEntry
        for number in 0..<threads { _ = entry(for: writer + UInt32(number)) }
        let own = ["--writer", "\(writer)", "--entry", "\(first)", "--threads", "\(threads)"]
        let process = try worker("append", own + arguments, through: wrapper)
        return Appender(process: process, entries: Array(first..<first + threads))
    }

    /// Starts a tailer, and waits until it is at the first record.
    public func tailer(_ arguments: [String] = [], through wrapper: [String] = []) throws -> TailerProcess {
        let entry = nextEntry
        nextEntry += 1
        reports += 1
        let report = directory.appending("report-\(reports)")
        let own = ["--entry", "\(entry)", "--report", report.string]
        let process = try worker("tail", own + arguments, through: wrapper)
        guard try process.line(within: 20) == "ready" else { throw Refuted("a tailer could not start") }
        return TailerProcess(process: process, entry: entry, report: report)
    }

    /// Tells tailers that the log has so many records, and reads what they saw.
    public func finish(_ tailers: [TailerProcess], records: UInt64, within seconds: Double = 120) throws -> [TailReport]
    {
        board[.target] = records
        return try tailers.map { tailer in
            let exit = try tailer.process.wait(upTo: seconds)
            guard exit == .exited(0) else { throw Refuted("a tailer failed: \(tailer.process.lastLine)") }
            let data = try Data(contentsOf: URL(fileURLWithPath: tailer.report.string))
            return try JSONDecoder().decode(TailReport.self, from: data)
        }
    }

    // MARK: Waiting

    /// Waits for a condition on what other processes do.
    public func wait(for what: String, within seconds: Double = 20, until condition: () throws -> Bool) throws {
        let deadline = test_now_ns() + UInt64(seconds * 1e9)
        while try !condition() {
            guard test_now_ns() < deadline else { throw Refuted("not within \(seconds) s: \(what)") }
            test_sleep_ns(200_000)
        }
    }

    /// How many records of an appender were acknowledged.
    public func acknowledged(_ appender: Appender) -> UInt64 {
        appender.entries.reduce(0) { $0 + board[$1, .acknowledged] - board[$1, .start] }
    }

    /// The longest time between two acknowledgements of an appender's threads, in milliseconds.
    public func longestGap(_ appender: Appender) -> Double {
        Double(appender.entries.map { board[$0, .longestGap] }.max() ?? 0) / 1e6
    }
}

/// A worker that appends.
public struct Appender {
    /// Its process.
    public let process: ChildProcess
    /// The board's entries of its threads.
    public let entries: [Int]
}

/// A worker that tails.
public struct TailerProcess {
    /// Its process.
    public let process: ChildProcess
    /// The board's entry that says how many records it has read.
    public let entry: Int
    /// Where it reports what it saw.
    public let report: FilePath
}
