import MappedLog
import SystemPackage

/// Reads the first records of a log.
struct ScanWorker: WorkerWork {
    /// What was there before isn't the reader's.
    private let memory = ProcessMemory()
    private let log: Log
    private let count: Int

    init(log path: String, count: Int) throws {
        log = try Log.openReadOnly(at: FilePath(path))
        self.count = count
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport()
        let wait = CPUWait()
        var sum: UInt64 = 0
        var tailer = try log.tailer()
        // Looked at a hundred times, and that not counted.
        let pause = max(1, count / 100)
        var looking: UInt64 = 0
        report.start = ThreadClock.now()
        while report.records < count {
            let read = try tailer.read(upTo: min(pause, count - report.records)) { record throws(LogError) in
                sum &+= unsafe record.payload.unsafeLoadUnaligned(as: UInt64.self)
            }
            if read == 0 { break }
            report.records += read
            let start = ThreadClock.now()
            report.peakAnonymousBytes = max(report.peakAnonymousBytes, memory.anonymous)
            looking += ThreadClock.now() - start
        }
        report.end = ThreadClock.now() - looking
        guard report.records == count, sum != 0 else {
            throw CommandFailure("\(log.path): \(report.records) records were read of \(count)")
        }
        report.cpuWait = wait.share
        report.peakResidentBytes = memory.peakResident
        return report
    }
}
