import MappedLog

extension Timestamp {
    /// Reads a time such as `2025-11-23T12:28:00.123456789Z` or `2025-11-23 13:28+01:00`.
    ///
    /// As RFC 3339 wants it, and a little more: the seconds may be left out. A leap second is the first second of the
    /// next minute. More than nine digits of a second, and years outside of 1677…2262, don't fit and give `nil`.
    init?(rfc3339 text: String) {
        var scanner = RFC3339Scanner(text)
        guard let civil = scanner.scanDateAndTime(), let offset = scanner.scanOffset(), scanner.isAtEnd,
            civil.isValid
        else { return nil }
        let seconds = civil.secondsSince1970 - offset
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = nanoseconds.addingReportingOverflow(civil.nanosecond)
        if !overflow, !carry {
            self.init(nanosecondsSince1970: sum)
            return
        }
        // The very first second overflows before its nanoseconds are added.
        let (later, still) = (seconds + 1).multipliedReportingOverflow(by: 1_000_000_000)
        let (moved, off) = later.addingReportingOverflow(civil.nanosecond - 1_000_000_000)
        if still || off { return nil }
        self.init(nanosecondsSince1970: moved)
    }

    /// The time as RFC 3339 writes it, in UTC, with nanoseconds.
    var rfc3339: String {
        let civil = CivilTime(self)
        return unsafe String(unsafeUninitializedCapacity: 30) { text in
            var end = 0
            func put(_ number: Int64, width: Int, _ separator: Unicode.Scalar) {
                var rest = number
                for index in (end..<end + width).reversed() {
                    unsafe text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                }
                unsafe text[end + width] = UInt8(ascii: separator)
                end += width + 1
            }
            put(civil.year, width: 4, "-")
            put(civil.month, width: 2, "-")
            put(civil.day, width: 2, "T")
            put(civil.hour, width: 2, ":")
            put(civil.minute, width: 2, ":")
            put(civil.second, width: 2, ".")
            put(civil.nanosecond, width: 9, "Z")
            return end
        }
    }
}
