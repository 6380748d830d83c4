import MappedLog
import SystemPackage

/// Looks up records by their sequences, at random.
struct SeekWorker: WorkerWork {
    private let log: Log
    private let sequences: [UInt64]

    init(log path: String, count: Int) throws {
        let log = try Log.openReadOnly(at: FilePath(path))
        let end = try log.nextSequence
        self.log = log
        sequences = (0..<count).map { _ in UInt64.random(in: 0..<end) }
    }

    func run() throws -> WorkerReport {
        var report = WorkerReport()
        let wait = CPUWait()
        ProcessMemory.forgetPeak()
        // What was there before isn't the tailer's.
        let (anonymous, resident) = (ProcessMemory.anonymous, ProcessMemory.peakResident)
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
                let more = ProcessMemory.anonymous
                report.peakAnonymousBytes = max(report.peakAnonymousBytes, more - min(more, anonymous))
                looking += ThreadClock.now() - start
            }
        }
        report.end = ThreadClock.now() - looking
        report.cpuWait = wait.share
        let peak = ProcessMemory.peakResident
        report.peakResidentBytes = peak - min(peak, resident)
        return report
    }
}
