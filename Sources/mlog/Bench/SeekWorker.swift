import MappedLog
import SystemPackage

/// Looks up records by their sequences, at random.
struct SeekWorker: WorkerWork {
    /// What was there before isn't the reader's.
    private let memory: ProcessMemory
    private let log: Log
    private let sequences: [UInt64]

    init(log path: String, count: Int, below end: Int) throws {
        sequences = (0..<count).map { _ in UInt64.random(in: 0..<UInt64(end)) }
        memory = ProcessMemory()
        log = try Log.openReadOnly(at: FilePath(path))
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport()
        let wait = CPUWait()
        let pause = max(1, sequences.count / 100)
        var looking: UInt64 = 0
        var tailer = try log.tailer()
        report.start = ThreadClock.now()
        for (index, sequence) in sequences.enumerated() {
            try tailer.seek(to: .sequence(sequence))
            guard try tailer.next()?.sequence == sequence else {
                throw CommandFailure("\(log.path): no record \(sequence), though it was there")
            }
            if index % pause == 0 {
                let start = ThreadClock.now()
                report.peakAnonymousBytes = max(report.peakAnonymousBytes, memory.anonymous)
                looking += ThreadClock.now() - start
            }
        }
        report.end = ThreadClock.now() - looking
        report.records = sequences.count
        report.cpuWait = wait.share
        report.peakResidentBytes = memory.peakResident
        return report
    }
}
