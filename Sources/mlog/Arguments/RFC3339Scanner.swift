/// Takes a time of RFC 3339 apart, from left to right.
struct RFC3339Scanner {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = text[...].utf8
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func scanDateAndTime() -> CivilTime? {
        guard let year = scanNumber(digits: 4), scan("-"), let month = scanNumber(digits: 2), scan("-"),
            let day = scanNumber(digits: 2), scan("T") || scan("t") || scan(" "),
            let hour = scanNumber(digits: 2), scan(":"), let minute = scanNumber(digits: 2)
        else { return nil }
        var civil = CivilTime(year: year, month: month, day: day, hour: hour, minute: minute)
        guard scan(":") else { return civil }
        guard let second = scanNumber(digits: 2) else { return nil }
        civil.second = second
        guard scan(".") else { return civil }
        guard let nanosecond = scanFraction() else { return nil }
        civil.nanosecond = nanosecond
        return civil
    }

    /// The seconds that the clock meant is ahead of UTC.
    mutating func scanOffset() -> Int64? {
        if scan("Z") || scan("z") { return 0 }
        let sign: Int64
        if scan("+") {
            sign = 1
        } else if scan("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = scanNumber(digits: 2), scan(":"), let minutes = scanNumber(digits: 2), hours <= 23,
            minutes <= 59
        else { return nil }
        return sign * (hours * 3_600 + minutes * 60)
    }

    private mutating func scan(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func scanNumber(digits: Int) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<digits {
            guard let digit = scanDigit() else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    private mutating func scanFraction() -> Int64? {
        var nanoseconds: Int64 = 0
        var worth: Int64 = 100_000_000
        guard let first = scanDigit() else { return nil }
        nanoseconds = first * worth
        while let digit = scanDigit() {
            worth /= 10
            if worth == 0 { return nil }
            nanoseconds += digit * worth
        }
        return nanoseconds
    }

    private mutating func scanDigit() -> Int64? {
        guard let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        rest = rest.dropFirst()
        return Int64(byte - UInt8(ascii: "0"))
    }
}
