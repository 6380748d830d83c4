import ArgumentParser

/// How records follow one another on standard input.
enum InputFormat: String, CaseIterable, ExpressibleByArgument {
    /// Each line is one, without its line feed.
    case lines
    /// A length of four bytes, little-endian, before each.
    case lengthPrefixed = "length-prefixed"
}
