import FoundationEssentials

/// One result, in the form that the yardsticks of `tools/compare` print too.
struct BenchLine {
    let what: String
    let medium: String
    let mode: String
    let recordBytes: Int
    /// The measured figures by their names in JSON, in the order a person reads them.
    private(set) var figures: [(name: String, value: Double)] = []

    init(_ what: BenchWork, _ medium: String, _ mode: String, recordBytes: Int) {
        self.what = "mlog.\(what.lineName)"
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
