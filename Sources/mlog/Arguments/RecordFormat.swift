import ArgumentParser

/// How records are printed.
enum RecordFormat: String, CaseIterable, ExpressibleByArgument {
    /// The payload and a line feed.
    case lines
    /// The payload and nothing else.
    case raw
    /// The payload after its length in four bytes, little-endian: what `append` reads under the same name.
    case lengthPrefixed = "length-prefixed"
    /// One object a line, with everything known of the record.
    case json
    /// The payload in hexadecimal digits, one record a line.
    case hex
}
