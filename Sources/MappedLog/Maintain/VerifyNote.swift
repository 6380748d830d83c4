/// Something about a log that is worth knowing and no damage.
public struct VerifyNote: Codable, Hashable, Sendable {
    /// A kind of note.
    ///
    /// The set may grow in later versions.
    public struct Kind: RawRepresentable, Codable, Hashable, Sendable {
        /// The kind's name, as it stands in reports.
        public let rawValue: String

        /// Creates a kind from its name.
        ///
        /// - Parameter rawValue: The kind's name.
        public init(rawValue: String) {
            self.rawValue = rawValue
        }

        /// A crash left something unfinished behind the end; the next writer cuts it off.
        public static let tornTail = Self(rawValue: "tornTail")
        /// An earlier repair wrote over a damaged range here.
        public static let lost = Self(rawValue: "lost")
        /// A seal line is missing or bad; it is no more than a convenience, and repair writes it anew.
        public static let sealLine = Self(rawValue: "sealLine")
        /// A named tailer stands behind the end; the next writer moves it there.
        public static let tailerBehindEnd = Self(rawValue: "tailerBehindEnd")
        /// Something could not be looked at for want of permission.
        public static let notPermitted = Self(rawValue: "notPermitted")
    }

    /// What it is about.
    public let kind: Kind
    /// The path of the file.
    public let file: String
    /// The position concerned, or nil.
    public let position: UInt64?
    /// How many bytes are concerned, from the position on.
    public let bytes: UInt64
    /// The records that are gone, of a `lost` note; nil where that isn't known.
    public let sequences: Range<UInt64>?

    init(
        _ kind: Kind,
        file: String,
        position: UInt64? = nil,
        bytes: UInt64 = 0,
        sequences: Range<UInt64>? = nil
    ) {
        self.kind = kind
        self.file = file
        self.position = position
        self.bytes = bytes
        self.sequences = sequences
    }
}
