internal import SystemPackage

/// One place where a log is not what was written, as ``Maintenance/verify(at:progress:)`` found it.
public struct Damage: Codable, Hashable, Sendable {
    /// A kind of damage.
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
    }

    /// What is wrong.
    public let kind: Kind
    /// The path of the file.
    public let file: String
    /// The position where it shows; nil where a file as a whole is concerned.
    public let position: UInt64?
    /// The positions that can't be read because of it: up to the next whole frame.
    public let affectedPositions: Range<UInt64>?
    /// The records that can't be read because of it; nil where that isn't known.
    public let affectedSequences: Range<UInt64>?
    /// What should be there.
    public let expected: String
    /// What is there.
    public let found: String

    /// What is wrong, in a few words.
    public var what: String {
        var text = "\(kind.summary): expected \(expected), found \(found)"
        if let affectedPositions { text += "; \(affectedPositions.count) bytes can't be read" }
        if let affectedSequences, !affectedSequences.isEmpty {
            text += ", sequences \(affectedSequences.lowerBound)..<\(affectedSequences.upperBound)"
        }
        return text
    }

    init(
        _ kind: Kind,
        file: String,
        position: UInt64? = nil,
        positions: Range<UInt64>? = nil,
        sequences: Range<UInt64>? = nil,
        expected: String,
        found: String
    ) {
        self.kind = kind
        self.file = file
        self.position = position
        affectedPositions = positions
        affectedSequences = sequences
        self.expected = expected
        self.found = found
    }
}

extension Damage.Kind {
    /// `options.json` can't be read, or says what can't be.
    public static let options = Self(rawValue: "options")
    /// A segment between others, or a durable one, isn't there.
    public static let missingSegment = Self(rawValue: "missingSegment")
    /// A segment file is too short.
    public static let truncatedSegment = Self(rawValue: "truncatedSegment")
    /// A segment file doesn't begin with the magic of a segment.
    public static let badMagic = Self(rawValue: "badMagic")
    /// A segment's header or the size or name of its file is wrong.
    public static let header = Self(rawValue: "header")
    /// A compacted segment's seek table, or what of its LZ4 frame is no block, is wrong.
    public static let seekTable = Self(rawValue: "seekTable")
    /// A segment belongs to another log.
    public static let foreignSegment = Self(rawValue: "foreignSegment")
    /// No damage, but a version, feature, form, kind or flag that only a newer version of this library can read.
    public static let unsupported = Self(rawValue: "unsupported")
    /// The line that says which sequence a segment begins with is wrong.
    public static let activationLine = Self(rawValue: "activationLine")
    /// A frame is not what was written, or out of order.
    public static let frame = Self(rawValue: "frame")
    /// Nothing stands where a durable frame was.
    public static let missingFrame = Self(rawValue: "missingFrame")
    /// The disk can't read a place.
    public static let unreadable = Self(rawValue: "unreadable")
    /// An entry of the sparse index is missing, bad or wrong.
    ///
    /// Costs time only, until it is rebuilt.
    public static let indexEntry = Self(rawValue: "indexEntry")
    /// Something stands behind the `end` frame of a segment.
    ///
    /// Costs no record.
    public static let behindEnd = Self(rawValue: "behindEnd")
    /// In the place of a file of `live/` stands something else, which keeps writers out.
    ///
    /// No record is damaged.
    public static let liveFile = Self(rawValue: "liveFile")
    /// A named tailer's file is damaged.
    ///
    /// The log is not.
    public static let namedTailer = Self(rawValue: "namedTailer")

    var summary: String {
        switch self {
        case .options: "bad options.json"
        case .missingSegment: "missing segment"
        case .truncatedSegment: "truncated segment"
        case .badMagic: "wrong magic"
        case .header: "bad segment header"
        case .seekTable: "bad seek table"
        case .foreignSegment: "segment of another log"
        case .unsupported: "not supported by this version"
        case .activationLine: "bad activation line"
        case .frame: "bad frame"
        case .missingFrame: "missing frame"
        case .unreadable: "unreadable"
        case .indexEntry: "bad index entry"
        case .behindEnd: "bytes behind the end of a segment"
        case .liveFile: "no file in live/"
        case .namedTailer: "bad named tailer"
        default: rawValue
        }
    }

    /// The kind of damage that an error of a segment's header or form means.
    init(_ code: LogError.Code) {
        switch code {
        case .truncatedSegment: self = .truncatedSegment
        case .badMagic: self = .badMagic
        case .foreignSegment: self = .foreignSegment
        case .missingSegment: self = .missingSegment
        case .unsupportedVersion, .unsupportedFeature, .unsupportedSegment: self = .unsupported
        case .io: self = .unreadable
        default: self = .header
        }
    }
}

extension LogError {
    /// Whether the process ran out of something: a file that couldn't be looked at for that reason isn't damaged.
    var saysNothingOfTheDisk: Bool {
        errno == .tooManyOpenFiles || errno == .tooManyOpenFilesInSystem || errno == .noMemory
    }
}
