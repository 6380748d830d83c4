/// What a second process of a benchmark is to do.
enum WorkerOrder: Codable {
    /// Looks records up by sequences drawn at random, in a log that is closed.
    case seek(log: String, count: Int)
}

/// What it says when it has done it.
struct WorkerReport: Codable {
    /// When it began and ended, by `ThreadClock`.
    var start: UInt64 = 0
    var end: UInt64 = 0
    var cpuWait = 0.0
    var peakAnonymousBytes: UInt64 = 0
    var peakResidentBytes: UInt64 = 0

    var nanoseconds: Double { Double(end &- start) }
}
