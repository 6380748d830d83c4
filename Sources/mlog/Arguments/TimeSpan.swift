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

    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
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

    /// The duration in the largest unit it fills, with three digits after the point at most.
    var description: String {
        let scale: [(unit: String, worth: Int64)] = [
            ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000),
            ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000),
        ]
        guard let (unit, worth) = scale.first(where: { nanoseconds >= $0.worth }) else { return "\(nanoseconds)ns" }
        let thousandths = nanoseconds % worth / max(1, worth / 1_000)
        var fraction = String(String(1_000 + thousandths).dropFirst())
        while fraction.last == "0" { fraction.removeLast() }
        return "\(nanoseconds / worth)\(fraction.isEmpty ? "" : ".\(fraction)")\(unit)"
    }
}
