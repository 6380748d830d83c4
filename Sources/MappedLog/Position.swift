/// The address of a frame: segment number × segment size + offset in the segment file, in bytes.
///
/// A position never changes, compaction included. Positions rise with sequences, but not by one.
public struct Position: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The address in bytes; a multiple of 8.
    public let rawValue: UInt64

    /// Creates a position from its address.
    ///
    /// - Parameter rawValue: The address in bytes.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Whether `left` lies before `right` in the log.
    public static func < (left: Position, right: Position) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The address in decimal digits.
    public var description: String { String(rawValue) }
}
