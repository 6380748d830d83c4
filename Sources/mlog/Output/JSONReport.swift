import FoundationEssentials
import SystemPackage

/// A report as a program wants it.
enum JSONReport {
    /// Writes the report as an object over several lines, its keys in alphabetical order.
    static func print(_ report: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var output = BufferedOutput(to: .standardOutput)
        unsafe try encoder.encode(report).withUnsafeBytes { unsafe output.write($0) }
        output.write("\n")
        try output.flush()
    }
    /// Writes the report as an object in one line, at once.
    static func printLine(_ report: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var output = BufferedOutput(to: .standardOutput)
        unsafe try encoder.encode(report).withUnsafeBytes { unsafe output.write($0) }
        output.write("\n")
        try output.flush()
    }
}
