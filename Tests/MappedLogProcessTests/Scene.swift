import Foundation
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CTestSupport

/// A log in a directory of its own, the board, and what is known of each writer; all gone at the end of the test.
final class Scene {
    let directory: FilePath
    let board: Board
    /// Where the log is, as entry points take it.
    let log: FilePath
    private let medium: LogMedium
    private var boardPath: FilePath { directory.appending("board") }
    private var nextEntry = 0
    private var reports = 0
    /// The incarnations of each writer thread, in order.
    private(set) var entries: [UInt32: [Int]] = [:]

    // With `options` the log is created; nil: not yet.
    init(_ options: LogOptions? = LogOptions(durability: .never), on medium: LogMedium = .file) throws {
        var template = Array((NSTemporaryDirectory() + "/mapped-log-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        directory = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        board = try Board(directory.appending("board"))
        self.medium = medium
        log = medium.newPath(in: directory)
        if let options { try Log.create(at: log, options: medium.unbounded(options)).close() }
    }

    deinit {
        // Children that a test that failed left.
        board[.stop] = 1
        medium.remove(log)
        try? FileManager.default.removeItem(atPath: directory.string)
    }

    /// The worker's program, which is built beside the tests.
    static let worker: FilePath = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe readlink("/proc/self/exe", bytes.baseAddress!, bytes.count)
        }
        let tests = FilePath(String(decoding: buffer[..<max(count, 0)], as: UTF8.self))
        return tests.removingLastComponent().appending("MappedLogTestWorker")
    }()

    // MARK: Workers

    /// Starts a worker in a role on this scene's log.
    func worker(_ role: String, _ arguments: [String] = [], through wrapper: [String] = []) throws -> ChildProcess {
        let place = ["--log", log.string, "--board", boardPath.string]
        return try ChildProcess(wrapper + [Self.worker.string, role] + place + arguments)
    }

    /// A new entry of the board for the next incarnation of a writer thread.
    func entry(for writer: UInt32) -> Int {
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
    func appender(
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
    func tailer(_ arguments: [String] = [], through wrapper: [String] = []) throws -> TailerProcess {
        let entry = nextEntry
        nextEntry += 1
        reports += 1
        let report = directory.appending("report-\(reports)")
        let own = ["--entry", "\(entry)", "--report", report.string]
        let process = try worker("tail", own + arguments, through: wrapper)
        #expect(try process.line(within: 20) == "ready")
        return TailerProcess(process: process, entry: entry, report: report)
    }

    /// Tells tailers that the log has so many records, and reads what they saw.
    func finish(_ tailers: [TailerProcess], records: UInt64, within seconds: Double = 120) throws -> [TailReport] {
        board[.target] = records
        return try tailers.map { tailer in
            let exit = try tailer.process.wait(upTo: seconds)
            try #require(exit == .exited(0), "the tailer failed: \(tailer.process.lastLine)")
            let data = try Data(contentsOf: URL(fileURLWithPath: tailer.report.string))
            return try JSONDecoder().decode(TailReport.self, from: data)
        }
    }

    // MARK: Waiting

    struct Late: Error, CustomStringConvertible {
        let description: String
    }

    /// Waits for a condition on what other processes do.
    func wait(for what: String, within seconds: Double = 20, until condition: () throws -> Bool) throws {
        let deadline = test_now_ns() + UInt64(seconds * 1e9)
        while try !condition() {
            guard test_now_ns() < deadline else { throw Late(description: "not within \(seconds) s: \(what)") }
            test_sleep_ns(200_000)
        }
    }

    func acknowledged(_ appender: Appender) -> UInt64 {
        appender.entries.reduce(0) { $0 + board[$1, .acknowledged] - board[$1, .start] }
    }

    /// The longest time between two acknowledgements of an appender's threads, in milliseconds.
    func longestGap(_ appender: Appender) -> Double {
        Double(appender.entries.map { board[$0, .longestGap] }.max() ?? 0) / 1e6
    }
}

struct Appender {
    let process: ChildProcess
    let entries: [Int]
}

struct TailerProcess {
    let process: ChildProcess
    let entry: Int
    let report: FilePath
}

extension [UInt8] {
    /// The payload of a record that tailers can check.
    static func record(writer: UInt32, counter: UInt64, byteCount: Int) -> Self {
        unsafe Self(unsafeUninitializedCapacity: byteCount) { bytes, used in
            unsafe test_record_fill(bytes.baseAddress, byteCount, writer, counter)
            used = byteCount
        }
    }
}

/// Random numbers that a seed repeats.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// - Parameter test: Printed with the seed.
    init(_ test: String) {
        let chosen = ProcessInfo.processInfo.environment["MAPPEDLOG_TEST_SEED"].flatMap { UInt64($0) }
        let seed = chosen ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("\(test): MAPPEDLOG_TEST_SEED=\(seed)")
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return test_digest(state, 0)
    }
}

/// A share of the usual number of records or deaths: `MAPPEDLOG_TEST_SCALE`, in percent.
func scaled(_ count: UInt64) -> UInt64 {
    let percent = ProcessInfo.processInfo.environment["MAPPEDLOG_TEST_SCALE"].flatMap { UInt64($0) } ?? 100
    return max(count * percent / 100, 1)
}
