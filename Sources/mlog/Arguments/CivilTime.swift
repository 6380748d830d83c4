import MappedLog

/// A time in UTC, by the calendar and the clock.
struct CivilTime {
    var year: Int64
    var month: Int64
    var day: Int64
    var hour: Int64 = 0
    var minute: Int64 = 0
    var second: Int64 = 0
    var nanosecond: Int64 = 0
}

extension CivilTime {
    private static let secondsOfDay: Int64 = 86_400
    /// The days of 400 years, after which the calendar repeats itself.
    private static let daysOfEra: Int64 = 146_097

    init(_ timestamp: Timestamp) {
        let (seconds, nanosecond) = Self.floored(timestamp.nanosecondsSince1970, by: 1_000_000_000)
        let (days, secondOfDay) = Self.floored(seconds, by: Self.secondsOfDay)
        self.init(daysSince1970: days)
        hour = secondOfDay / 3_600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
        self.nanosecond = nanosecond
    }

    /// Finds the date, counting years from the first of March, so that the leap day comes last.
    private init(daysSince1970 days: Int64) {
        let (era, dayOfEra) = Self.floored(days + 719_468, by: Self.daysOfEra)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        self.init(year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month, day: day)
    }

    /// Whether the calendar and the clock know this time; 60 seconds are a leap second.
    var isValid: Bool {
        (1...12).contains(month) && (1...daysOfMonth).contains(day) && (0...23).contains(hour)
            && (0...59).contains(minute) && (0...60).contains(second)
    }

    var secondsSince1970: Int64 {
        let fromMarch = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = Self.floored(fromMarch, by: 400)
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * Self.daysOfEra + dayOfEra - 719_468
        return days * Self.secondsOfDay + hour * 3_600 + minute * 60 + second
    }

    private var daysOfMonth: Int64 {
        switch month {
        case 2: isLeapYear ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private var isLeapYear: Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    /// Divides towards negative infinity, so that the remainder is never negative.
    private static func floored(_ number: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
