/// What a tailing worker saw.
public struct TailReport: Codable, Sendable, Equatable {
    /// Records of one writer whose counters follow each other.
    public struct Run: Codable, Sendable, Equatable {
        /// The counter of the first.
        public var first: UInt64
        /// The counter behind the last.
        public var end: UInt64

        /// Creates a run.
        public init(first: UInt64, end: UInt64) {
            self.first = first
            self.end = end
        }
    }

    /// How many records it read.
    public var records: UInt64 = 0
    /// The sequence of the next record.
    public var nextSequence: UInt64 = 0
    /// Of writer, counter, sequence and position of each record, in order.
    public var digest: UInt64 = 0
    /// By writer, in the order of the log.
    ///
    /// More than one run: counters are missing, repeated or out of order.
    public var runs: [UInt32: [Run]] = [:]
    /// What no log may show, in words; the first few.
    public var problems: [String] = []
    /// How long it took from a record's append to its arrival, in nanoseconds, where that was asked for.
    public var latencies: [UInt64] = []

    /// Creates an empty report.
    public init() {}
}
