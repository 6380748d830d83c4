/// How a command ended, and what it said.
struct Outcome: Sendable {
    /// The exit status, or as a shell tells of a signal: 128 and its number.
    let status: Int32
    let output: [UInt8]
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }
}
