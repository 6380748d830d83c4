import ArgumentParser
import MappedLog

/// When records are flushed to the disk: `never`, after each (`always`), or by time (`10ms`) or amount (`1MiB`).
struct DurabilityArgument: ExplainedArgument, CustomStringConvertible {
    let durability: Durability

    init(_ durability: Durability) {
        self.durability = durability
    }

    init?(argument: String) {
        switch argument {
        case "never":
            durability = .never
        case "always":
            durability = .everyAppend
        default:
            // A bare number could be either, so it is neither; `5m` are minutes and `5M` is a size.
            guard argument.last?.isLetter == true else { return nil }
            if let span = TimeSpan(argument: argument), span.nanoseconds > 0 {
                durability = .interval(span.duration)
            } else if let size = ByteSize(argument: argument), size.bytes > 0 {
                durability = .bytes(size.bytes)
            } else {
                return nil
            }
        }
    }

    var description: String {
        switch durability {
        case .never: "never"
        case .everyAppend: "always"
        case .interval(let interval): TimeSpan(interval).description
        case .bytes(let bytes): ByteSize(bytes: bytes).description
        }
    }

    static let expectation = "never, always, a time with its unit (10ms) or an amount with its unit (1MiB)"

    static let help = ArgumentHelp(
        "When records are flushed to the disk: 'never', 'always', or at least after a time (10ms) or an amount (1MiB).",
        valueName: "durability"
    )
}
