import Glibc

/// The identity of a log: a random UUID (RFC 9562, version 4), written into each segment.
public struct LogID: Hashable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]

    init(bytes: [UInt8]) {
        precondition(bytes.count == 16)
        self.bytes = bytes
    }

    static func random() -> LogID {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return LogID(bytes: bytes)
    }

    /// Nil: not the text form of a UUID.
    init?(_ text: String) {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
        let digits = groups.joined().map(\.hexDigitValue)
        guard digits.count == 32, digits.allSatisfy({ $0 != nil }) else { return nil }
        bytes = (0..<16).map { UInt8(digits[2 * $0]! << 4 | digits[2 * $0 + 1]!) }
    }

    /// The UUID in its text form, lower case.
    public var description: String {
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            text += byte.hexadecimal(digits: 2)
        }
        return text
    }
}

extension FixedWidthInteger {
    /// Lower-case hexadecimal, padded with zeros.
    func hexadecimal(digits: Int) -> String {
        let text = String(self, radix: 16)
        return String(repeating: "0", count: Swift.max(0, digits - text.count)) + text
    }
}
