/// What a second process of a benchmark is to do, each time it is told to.
enum WorkerOrder: Codable {
    /// Looks records up by sequences below a bound, drawn at random, in a log that is closed.
    case seek(log: String, count: Int, below: Int)
    /// Appends records, so many with each thread, beside others who append.
    case append(log: String, records: Int, recordBytes: Int, batch: Int, threads: Int)
    /// Reads the first records of a log that is closed.
    case scan(log: String, count: Int)
    /// Reads records that carry the time of their append, as they come, and says how long that took.
    case tail(log: String, records: Int)
    /// Answers each record as it comes with one in another log.
    case answer(log: String, answers: String, records: Int)
}

/// What it says when it has done it.
struct WorkerReport: Codable {
    /// When it began and ended, by `ThreadClock`.
    var start: UInt64 = 0
    var end: UInt64 = 0
    var records = 0
    var cpuWait = 0.0
    var peakAnonymousBytes: UInt64 = 0
    var peakResidentBytes: UInt64 = 0
    /// From append to seen, in nanoseconds.
    var delays: [UInt64] = []
    var sleeps = 0

    var nanosecondsPerRecord: Double { Double(end &- start) / Double(max(1, records)) }

    /// Adds what another did beside: from the first beginning to the last end.
    mutating func add(_ other: WorkerReport) {
        start = min(start, other.start)
        end = max(end, other.end)
        records += other.records
        keepWorst(of: other)
    }

    /// Of several runs the most memory and the longest wait.
    mutating func keepWorst(of other: WorkerReport) {
        cpuWait = max(cpuWait, other.cpuWait)
        peakAnonymousBytes = max(peakAnonymousBytes, other.peakAnonymousBytes)
        peakResidentBytes = max(peakResidentBytes, other.peakResidentBytes)
    }
}
