import ArgumentParser
import MappedLog
import SystemPackage

/// A segment, by the name of its file: sixteen hexadecimal digits, with or without what follows them.
struct SegmentArgument: ExpressibleByArgument {
    let position: Position

    init?(argument: String) {
        guard let name = FilePath(argument).lastComponent?.string else { return nil }
        let digits = name.prefix { $0 != "." }
        guard digits.count == 16, let base = UInt64(digits, radix: 16),
            ["", ".mlog", ".mlog.lz4"].contains(String(name.dropFirst(16)))
        else { return nil }
        position = Position(rawValue: base)
    }
}
