/// Results as a person reads them.
enum BenchTable {
    /// Prints lines of one kind of work, which have the same figures.
    static func print(_ lines: ArraySlice<BenchLine>) throws {
        guard let first = lines.first else { return }
        let names = first.figures.map(\.name)
        let rows = lines.map { line in
            [line.what, line.medium, line.mode, "\(line.recordBytes)"]
                + names.map { name in line[name].map { text(name, $0) } ?? "" }
        }
        var report = TextReport()
        report.add(
            table: ["what", "medium", "mode", " bytes"] + names.map { " " + $0.replacing("_", with: " ") },
            rows: rows
        )
        try report.print()
    }

    private static func text(_ name: String, _ value: Double) -> String {
        if name.hasSuffix("_bytes") || name == "bytes" { return ByteSize(bytes: UInt64(value)).description }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        if value >= 100 { return "\(Int64(value.rounded()))" }
        let thousandths = Int64((value * 1000).rounded())
        return "\(thousandths / 1000).\(String(thousandths % 1000 + 1000).dropFirst())"
    }
}
