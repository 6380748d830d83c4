import MappedLog
import SystemPackage
import _CBench

/// Reads records as they come, asleep between them, and tells how long ago each was appended.
struct TailWorker: WorkerWork {
    private let log: Log
    private let records: Int

    init(log path: String, records: Int) throws {
        log = try Log.openReadOnly(at: FilePath(path))
        self.records = records
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport(records: records)
        report.delays.reserveCapacity(records)
        var tailer = try log.tailer(from: .end)
        _ = bench_pin(0)
        let wait = CPUWait()
        let sleeps = bench_sleeps()
        // Tells the writer that it may begin.
        try FileDescriptor.standardOutput.writeAll("waiting\n".utf8)
        report.start = ThreadClock.now()
        while report.delays.count < records {
            if let record = try tailer.next() {
                report.delays.append(unsafe ThreadClock.now() &- record.payload.unsafeLoadUnaligned(as: UInt64.self))
            } else {
                guard try tailer.wait(upTo: .seconds(5)) else {
                    throw CommandFailure("\(log.path): the records to tail don't come")
                }
            }
        }
        report.end = ThreadClock.now()
        report.cpuWait = wait.share
        report.sleeps = bench_sleeps() - sleeps
        _ = bench_pin(-1)
        return report
    }
}
