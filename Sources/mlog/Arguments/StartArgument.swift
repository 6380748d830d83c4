import MappedLog

/// The place in a log from which on records are wanted.
enum StartArgument: ExplainedArgument {
    case fixed(TailStart)
    /// So long before now.
    case ago(TimeSpan)

    static let synopsis = "first, end, sequence:N, position:P, time:T or -5m"
    static let expectation = "\(synopsis), with T as 2025-11-23T12:00:00Z"

    init?(argument: String) {
        switch argument {
        case "first": self = .fixed(.first)
        case "end": self = .fixed(.end)
        default:
            if argument.first == "-" {
                guard let span = TimeSpan(argument: String(argument.dropFirst())) else { return nil }
                self = .ago(span)
                return
            }
            let parts = argument.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, let start = Self.place(parts[1], by: parts[0]) else { return nil }
            self = .fixed(start)
        }
    }

    /// The place meant, as of now.
    var start: TailStart {
        switch self {
        case .fixed(let start):
            return start
        case .ago(let span):
            let (time, overflow) = Timestamp.now.nanosecondsSince1970.subtractingReportingOverflow(span.nanoseconds)
            return overflow ? .first : .time(Timestamp(nanosecondsSince1970: time))
        }
    }

    private static func place(_ value: String, by kind: String) -> TailStart? {
        switch kind {
        case "sequence": number(value).map { .sequence($0) }
        case "position": number(value).map { .position(Position(rawValue: $0)) }
        case "time": Timestamp(rfc3339: value).map { .time($0) }
        default: nil
        }
    }

    /// A number in decimal, or in hexadecimal after `0x`, as segments are named.
    private static func number(_ text: String) -> UInt64? {
        guard let first = text.dropFirst(text.hasPrefix("0x") ? 2 : 0).first, first.isHexDigit else { return nil }
        return text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }
}
