import MappedLog
import SystemPackage
import _CBench

/// Reads records as they come, and tells of each that found it asleep how long ago it was appended.
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
        let sleepsBefore = bench_sleeps()
        var sleeps = sleepsBefore
        var read = 0
        // Tells the writer that it may begin.
        try FileDescriptor.standardOutput.writeAll("waiting\n".utf8)
        report.start = ThreadClock.now()
        while read < records {
            if let record = try tailer.next() {
                let delay = unsafe ThreadClock.now() &- record.payload.unsafeLoadUnaligned(as: UInt64.self)
                let now = bench_sleeps()
                if now != sleeps { report.delays.append(delay) }
                (read, sleeps) = (read + 1, now)
            } else {
                guard try tailer.wait(upTo: .seconds(5)) else {
                    throw CommandFailure("\(log.path): the records to tail don't come")
                }
            }
        }
        report.end = ThreadClock.now()
        report.cpuWait = wait.share
        report.sleeps = bench_sleeps() - sleepsBefore
        _ = bench_pin(-1)
        return report
    }
}
