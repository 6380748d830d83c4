import ArgumentParser

/// A duration, read and written as `10ms`, `1.5s` or `1h30m`.
struct TimeSpan: ExpressibleByArgument, CustomStringConvertible {
    private static let units: [String: UInt64] = [
        "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
        "m": 60_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000,
        "w": 604_800_000_000_000,
    ]

    let nanoseconds: Int64

    var duration: Duration { .nanoseconds(nanoseconds) }

    /// The duration without what is less than a nanosecond; the longest there is, if it is longer than 292 years.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        nanoseconds = overflow || carry ? .max : sum
    }

    init?(argument: String) {
        var rest = argument[...]
        var total: UInt64 = 0
        repeat {
            guard let term = Quantity(rest, units: Self.units) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(term.amount)
            if overflow { return nil }
            total = sum
            rest = term.rest
        } while !rest.isEmpty
        guard let nanoseconds = Int64(exactly: total) else { return nil }
        self.nanoseconds = nanoseconds
    }

    /// The duration in days, hours, minutes and seconds, or if it is less than one, in a smaller unit; with three
    /// digits after the point at most.
    var description: String {
        let seconds = nanoseconds / 1_000_000_000
        guard seconds > 0 else { return small }
        var text = ""
        let units: [(name: String, worth: Int64, limit: Int64)] = [
            ("d", 86_400, .max), ("h", 3_600, 24), ("m", 60, 60),
        ]
        for (unit, worth, limit) in units {
            let count = seconds / worth % limit
            if count > 0 { text += "\(count)\(unit)" }
        }
        let part = decimal(nanoseconds % 60_000_000_000, by: 1_000_000_000)
        return part == "0" ? text : "\(text)\(part)s"
    }

    private var small: String {
        if nanoseconds == 0 { return "0s" }
        if nanoseconds < 1_000 { return "\(nanoseconds)ns" }
        if nanoseconds < 1_000_000 { return "\(decimal(nanoseconds, by: 1_000))us" }
        return "\(decimal(nanoseconds, by: 1_000_000))ms"
    }

    /// The quotient with three digits after the point, cut off, without zeros at the end.
    private func decimal(_ number: Int64, by unit: Int64) -> String {
        var digits = String(1_000 + number % unit / (unit / 1_000)).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return digits.isEmpty ? "\(number / unit)" : "\(number / unit).\(digits)"
    }
}
