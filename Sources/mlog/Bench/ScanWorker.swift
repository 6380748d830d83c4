import MappedLog
import SystemPackage

/// Reads all records of a log.
struct ScanWorker: WorkerWork {
    private let log: Log
    private let end: UInt64

    init(log path: String) throws {
        log = try Log.openReadOnly(at: FilePath(path))
        end = try log.nextSequence
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport()
        let wait = CPUWait()
        ProcessMemory.forgetPeak()
        let (anonymous, resident) = (ProcessMemory.anonymous, ProcessMemory.peakResident)
        var sum: UInt64 = 0
        var tailer = try log.tailer()
        // Looked at a hundred times, and that not counted.
        let pause = max(1, Int(end) / 100)
        var looking: UInt64 = 0
        report.start = ThreadClock.now()
        while true {
            let count = try tailer.read(upTo: pause) { record throws(LogError) in
                sum &+= unsafe record.payload.unsafeLoadUnaligned(as: UInt64.self)
            }
            report.records += count
            let start = ThreadClock.now()
            if count < pause {
                report.end = start - looking
                break
            }
            let more = ProcessMemory.anonymous
            report.peakAnonymousBytes = max(report.peakAnonymousBytes, more - min(more, anonymous))
            looking += ThreadClock.now() - start
        }
        guard report.records == end, sum != 0 else {
            throw CommandFailure("\(log.path): \(report.records) records were read of \(end)")
        }
        report.cpuWait = wait.share
        let peak = ProcessMemory.peakResident
        report.peakResidentBytes = peak - min(peak, resident)
        return report
    }
}
