import MappedLog
import SystemPackage
import _CBench

/// Reads records as they come, without sleeping, and answers each with the same bytes in another log.
struct AnswerWorker: WorkerWork {
    private let log: Log
    private let answers: Log
    private let records: Int

    init(log path: String, answers answersPath: String, records: Int) throws {
        log = try Log.openReadOnly(at: FilePath(path))
        answers = try Log.open(at: FilePath(answersPath))
        self.records = records
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport(records: records)
        var tailer = try log.tailer(from: .end)
        _ = bench_pin(0)
        let wait = CPUWait()
        // Tells the other side that it may begin.
        try FileDescriptor.standardOutput.writeAll("waiting\n".utf8)
        report.start = ThreadClock.now()
        for _ in 0..<records {
            _ = try tailer.spin { record in try answers.append(record.payload) }
        }
        report.end = ThreadClock.now()
        report.cpuWait = wait.share
        _ = bench_pin(-1)
        return report
    }
}

extension Tailer {
    /// Waits for the next record without sleeping.
    ///
    /// - Throws: When it doesn't come: nobody may be there any more to append it.
    mutating func spin<Value>(_ body: (borrowing Record) throws -> Value) throws -> Value {
        var looks = 0
        var since: UInt64?
        while true {
            if let record = try next() { return try body(record) }
            looks += 1
            guard looks % (1 << 22) == 0 else { continue }
            try Bench.checkInterruption()
            let now = ThreadClock.now()
            if now - (since ?? now) > 5_000_000_000 { throw CommandFailure("the records to tail don't come") }
            since = since ?? now
        }
    }
}
