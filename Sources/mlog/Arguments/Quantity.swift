/// A number with a unit, as people write it: `64MiB`, `1.5h`.
struct Quantity {
    /// The amount in the smallest unit.
    let amount: UInt64
    /// What follows the unit.
    let rest: Substring

    /// Reads the number and unit `text` begins with.
    ///
    /// `nil` if it doesn't begin so, or if the amount isn't whole or doesn't fit 64 bits.
    ///
    /// - Parameters:
    ///   - text: Digits, perhaps with a fraction, directly followed by a unit.
    ///   - units: What each unit is worth in the smallest one. The empty name stands for no unit.
    init?(_ text: Substring, units: [String: UInt64]) {
        let whole = text.prefix(while: \.isDecimalDigit)
        var rest = text[whole.endIndex...]
        var fraction: Substring = ""
        if rest.first == "." {
            fraction = rest.dropFirst().prefix(while: \.isDecimalDigit)
            if fraction.isEmpty { return nil }
            rest = rest[fraction.endIndex...]
        }
        let name = rest.prefix { $0.isLetter }
        guard let worth = units[String(name)], let wholeAmount = UInt64(whole) else { return nil }
        let (product, overflow) = wholeAmount.multipliedReportingOverflow(by: worth)
        guard !overflow, let part = Self.part(fraction, of: worth) else { return nil }
        let (sum, carry) = product.addingReportingOverflow(part)
        if carry { return nil }
        amount = sum
        self.rest = rest[name.endIndex...]
    }

    /// The part of a unit that the digits after the point mean, if it is whole.
    private static func part(_ digits: Substring, of worth: UInt64) -> UInt64? {
        var digits = digits
        while digits.last == "0" { digits.removeLast() }
        if digits.isEmpty { return 0 }
        var divisor: UInt64 = 1
        for _ in digits {
            let (next, overflow) = divisor.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            divisor = next
        }
        guard let numerator = UInt64(digits) else { return nil }
        let product = numerator.multipliedFullWidth(by: worth)
        // The numerator is less than the divisor, so the quotient is less than the worth.
        let (quotient, remainder) = divisor.dividingFullWidth(product)
        return remainder == 0 ? quotient : nil
    }
}

extension Character {
    fileprivate var isDecimalDigit: Bool { isASCII && isNumber }
}
