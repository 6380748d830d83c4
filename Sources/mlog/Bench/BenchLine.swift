import FoundationEssentials
import Histogram

/// One result, in the form that the yardsticks of `tools/compare` print too.
struct BenchLine {
    let what: String
    let medium: String
    let mode: String
    let recordBytes: Int
    /// The measured figures by their names in JSON, in the order a person reads them.
    private(set) var figures: [(name: String, value: Double)] = []

    /// - Parameters:
    ///   - what: What was done, as lines name it behind `mlog.`.
    ///   - medium: Where.
    ///   - mode: How.
    ///   - recordBytes: A record's payload.
    init(_ what: String, _ medium: String, _ mode: String, recordBytes: Int) {
        self.what = "mlog.\(what)"
        self.medium = medium
        self.mode = mode
        self.recordBytes = recordBytes
    }

    /// Nanoseconds a record, one figure for each repetition; rates come from the median and count payload bytes only.
    mutating func add(nanosecondsPerRecord times: [Double], records: Int) {
        let spread = Spread(times)
        add("records", Double(records))
        add("reps", Double(times.count))
        add("ns_per_record", spread.median)
        add("ns_min", spread.smallest)
        add("ns_max", spread.largest)
        add("records_per_s", (1e9 / spread.median).rounded())
        add("mb_per_s", Double(recordBytes) * 1e3 / spread.median)
    }

    /// Delays of all repetitions, in nanoseconds; the 50th percentile is the median of the repetitions' own.
    mutating func add(delays: [[UInt64]]) {
        let pooled = Histogram(delays.joined())
        let medians = Spread(delays.map { Double(Histogram($0).valueAtPercentile(50)) })
        add("samples", Double(pooled.totalCount))
        add("reps", Double(delays.count))
        add("p50_ns", medians.median)
        add("p50_min", medians.smallest)
        add("p50_max", medians.largest)
        add("p90_ns", Double(pooled.valueAtPercentile(90)))
        add("p99_ns", Double(pooled.valueAtPercentile(99)))
        add("p999_ns", Double(pooled.valueAtPercentile(99.9)))
        add("max_ns", Double(pooled.max))
        add("mean_ns", pooled.mean)
    }

    mutating func add(_ name: String, _ value: Double) {
        figures.append((name, (value * 1000).rounded() / 1000))
    }

    subscript(name: String) -> Double? {
        figures.first { $0.name == name }?.value
    }
}

extension BenchLine: Encodable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) {
            stringValue = name
        }

        init?(stringValue: String) {
            self.stringValue = stringValue
        }

        init?(intValue: Int) {
            nil
        }
    }

    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: Name.self)
        try object.encode(what, forKey: Name("what"))
        try object.encode(medium, forKey: Name("medium"))
        try object.encode(mode, forKey: Name("mode"))
        try object.encode(recordBytes, forKey: Name("record_bytes"))
        for figure in figures {
            if let whole = Int64(exactly: figure.value) {
                try object.encode(whole, forKey: Name(figure.name))
            } else {
                try object.encode(figure.value, forKey: Name(figure.name))
            }
        }
    }
}

/// Median and bounds of repeated measurements.
struct Spread {
    let smallest: Double
    let median: Double
    let largest: Double

    /// - Parameter values: One at least.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        smallest = sorted[0]
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        largest = sorted[sorted.count - 1]
    }
}

extension Histogram where Count == UInt64 {
    /// The distribution of nanoseconds, with three digits.
    init(_ nanoseconds: some Sequence<UInt64>) {
        self.init(highestTrackableValue: 1 << 40, numberOfSignificantValueDigits: .three)
        for value in nanoseconds { record(value) }
    }
}
