/// Which old segments of a log are removed: whole ones, from the front.
///
/// Each limit counts by itself: what any of them lets go, goes. The active segment and those that are not wholly
/// durable always stay, and so does what a protecting named tailer has yet to read.
///
/// Its JSON form is that of the member `retention` of the log's `options.json`: `bytes`, `ageSeconds`, `segments`.
public struct Retention: Sendable, Hashable, Codable {
    /// How many bytes the files of all segments may have together, the prepared one among them; nil: any.
    public var bytes: UInt64?
    /// How long records stay; more than 0, kept in whole seconds.
    ///
    /// A segment goes once its newest record, by timestamp, is older; nil: never for that.
    public var age: Duration?
    /// How many segments stay, the active one among them, the prepared one not; at least 1; nil: all.
    public var segments: Int?

    /// Creates a rule.
    ///
    /// - Parameters:
    ///   - bytes: How many bytes the files of all segments may have together.
    ///   - age: How long records stay.
    ///   - segments: How many segments stay.
    public init(bytes: UInt64? = nil, age: Duration? = nil, segments: Int? = nil) {
        self.bytes = bytes
        self.age = age
        self.segments = segments
    }

    private enum CodingKeys: String, CodingKey {
        case bytes
        case ageSeconds
        case segments
    }

    /// Reads the JSON form.
    ///
    /// - Parameter decoder: Where from.
    /// - Throws: What the decoder throws.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        bytes = try container.decodeIfPresent(UInt64.self, forKey: .bytes)
        age = try container.decodeIfPresent(Int64.self, forKey: .ageSeconds).map { .seconds($0) }
        segments = try container.decodeIfPresent(Int.self, forKey: .segments)
    }

    /// Writes the JSON form; an age in whole seconds, rounded up.
    ///
    /// - Parameter encoder: Where to.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(bytes, forKey: .bytes)
        try container.encodeIfPresent(age?.secondsRoundedUp, forKey: .ageSeconds)
        try container.encodeIfPresent(segments, forKey: .segments)
    }

    /// Whether it lets everything stay.
    var isEmpty: Bool { bytes == nil && age == nil && segments == nil }

    /// How many segments with records a log in memory keeps, unless its options say otherwise.
    static let boundInMemory = 4

    /// - Throws: `invalidOptions`.
    func check() throws(LogError) {
        func check(_ isValid: Bool, _ expected: String, _ found: String) throws(LogError) {
            if isValid { return }
            throw LogError(.invalidOptions, expected: expected, found: found, advice: "choose another")
        }
        try check(!isEmpty, "bytes, an age or a number of segments", "none of them")
        try check(bytes != 0, "more than 0 bytes", "0")
        if let age { try check(age > .zero && age < .seconds(1 << 62), "an age of more than 0", "\(age)") }
        if let segments { try check(segments > 0, "at least 1 segment", "\(segments)") }
    }
}

/// What retention did to a log.
///
/// Its JSON form is that of `mlog retain --json`.
public struct RetentionReport: Sendable, Hashable, Codable {
    /// One removed segment.
    public struct Segment: Sendable, Hashable, Codable {
        /// Its base position.
        public let base: UInt64
        /// The path that its file had.
        public let file: String
        /// How long the file was, in bytes.
        public let bytes: UInt64
    }

    /// The segments that were removed, first to last; of a dry run, that would be.
    public internal(set) var removed: [Segment] = []
    /// The sequence of the first record that is left.
    public internal(set) var firstSequence: UInt64 = 0
    /// The position of the first frame that is left.
    public internal(set) var firstPosition: UInt64 = 0
    /// The protecting named tailer that kept a segment which would have gone otherwise; nil: none did.
    public internal(set) var protectedBy: String?
    /// Nothing was done: it says what would be.
    public internal(set) var isDryRun = false

    /// How long all removed files were, in bytes.
    public var bytesRemoved: UInt64 { removed.reduce(0) { $0 + $1.bytes } }
}
