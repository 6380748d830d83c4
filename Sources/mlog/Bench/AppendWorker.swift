import MappedLog
import Synchronization
import SystemPackage

/// Appends to a log that others append to as well.
struct AppendWorker: WorkerWork {
    private let log: Log
    private let records: Int
    private let payloads: Payloads
    private let batch: Int
    private let threads: Int

    /// - Parameters:
    ///   - path: The log, which somebody else has open.
    ///   - records: How many each thread appends.
    ///   - payloads: What it appends.
    ///   - batch: How many at a time; 1: one by one.
    ///   - threads: How many threads.
    /// - Throws: What the log has to complain about.
    init(log path: String, records: Int, payloads: Payloads, batch: Int, threads: Int) throws {
        log = try Log.open(at: FilePath(path))
        self.records = records
        self.payloads = payloads
        self.batch = batch
        self.threads = threads
    }

    /// Whoever was done before the others came to where this process populates more pages lets it begin with that now.
    func prepare() throws {
        try payloads.append(0, to: log)
    }

    func run() throws -> WorkerReport {
        if threads == 1 { return try append() }
        let shared = SharedReport()
        let work = self
        try Threads.run(threads) { _ in
            let report = try work.append()
            shared.report.withLock { $0.add(report) }
        }
        return shared.report.withLock { $0 }
    }

    private func append() throws -> WorkerReport {
        var report = WorkerReport(records: records)
        let wait = CPUWait()
        report.start = ThreadClock.now()
        if batch == 1 {
            for index in 0..<records { try payloads.append(index, to: log) }
        } else {
            let payloads = payloads.batch(batch)
            for _ in 0..<records / batch { try log.append(batch: payloads) }
        }
        report.end = ThreadClock.now()
        report.cpuWait = wait.share
        return report
    }
}

/// What several threads did, as one report.
private final class SharedReport: Sendable {
    let report = Mutex(WorkerReport(start: .max))
}
