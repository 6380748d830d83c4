internal import FoundationEssentials
internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// What the creator of a log chose: `options.json`, whose presence says that the log is complete.
struct LogSettings: Sendable {
    let id: String
    let segmentSize: UInt64
    let permissions: FilePermissions
    let durability: Durability
    let retention: Retention?
    let compactAfter: Duration?
    /// What is wrong with a member that only writers need, and for which a reader takes the default.
    let fault: LogError?
    /// Members that this version doesn't know: they are written again as they were.
    let others: [String: JSONMember]

    /// The members of the JSON object; others are ignored, for versions to come.
    private struct Members: Codable {
        var formatVersion: String?
        var id: String?
        var segmentSize: UInt64?
        var permissions: String?
        var durability: String?
        var retention: Retention?
        var compactAfterSeconds: Int64?
        /// Those that are there, and are something else.
        var isOtherType: Set<String> = []

        enum CodingKeys: CodingKey, CaseIterable {
            case formatVersion
            case id
            case segmentSize
            case permissions
            case durability
            case retention
            case compactAfterSeconds
        }

        init(_ settings: LogSettings) {
            let mode = String(settings.permissions.rawValue, radix: 8)
            formatVersion = "\(MLOG_FORMAT_MAJOR).\(MLOG_FORMAT_MINOR)"
            id = settings.id
            segmentSize = settings.segmentSize
            permissions = String(repeating: "0", count: max(0, 4 - mode.count)) + mode
            durability = settings.durability.settingsText
            retention = settings.retention
            compactAfterSeconds = settings.compactAfter.map(\.secondsRoundedUp)
        }

        /// A member of another type is as one that isn't there: which of them matter is decided later.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            formatVersion = try? container.decode(String.self, forKey: .formatVersion)
            id = try? container.decode(String.self, forKey: .id)
            segmentSize = try? container.decode(UInt64.self, forKey: .segmentSize)
            permissions = try? container.decode(String.self, forKey: .permissions)
            durability = try? container.decode(String.self, forKey: .durability)
            retention = try? container.decode(Retention.self, forKey: .retention)
            compactAfterSeconds = try? container.decode(Int64.self, forKey: .compactAfterSeconds)
            if permissions == nil, container.contains(.permissions) { isOtherType.insert("permissions") }
            if durability == nil, container.contains(.durability) { isOtherType.insert("durability") }
            if retention == nil, container.contains(.retention) { isOtherType.insert("retention") }
            if compactAfterSeconds == nil, container.contains(.compactAfterSeconds) {
                isOtherType.insert("compactAfterSeconds")
            }
        }
    }

    init(id: LogID, options: LogOptions, others: [String: JSONMember] = [:]) {
        self.others = others
        self.id = id.description
        segmentSize = options.segmentSize
        permissions = options.permissions
        durability = options.durability
        retention = options.retention
        compactAfter = options.compactAfter
        fault = nil
    }

    /// - Throws: `damaged` where these bytes aren't what they should be, `unsupportedVersion`.
    ///   What a reader needs not, permissions, durability, retention and compaction, counts as the default where it is missing or invalid.
    init(_ bytes: [UInt8], from path: FilePath) throws(LogError) {
        let text = Data(bytes)
        func damage(_ expected: String, _ found: String) -> LogError {
            LogError(
                .damaged,
                file: path,
                expected: expected,
                found: found,
                advice: "restore the file from a copy, or run `mlog repair`; spec/format.md tells its members"
            )
        }
        let members: Members
        do {
            members = try JSONDecoder().decode(Members.self, from: text)
        } catch {
            throw damage("the log's options as JSON", "\(text.count) bytes that are none")
        }
        let version = (members.formatVersion ?? "").split(separator: ".", omittingEmptySubsequences: false)
        let numbers = version.map { $0.allSatisfy(\.isASCIIDigit) ? UInt64($0) : nil }
        guard numbers.count == 2, let major = numbers[0], numbers[1] != nil, major >= 1 else {
            throw damage("a format version such as 1.0", members.formatVersion ?? "none")
        }
        guard major == UInt64(MLOG_FORMAT_MAJOR) else {
            throw LogError(
                .unsupportedVersion,
                file: path,
                expected: "format \(MLOG_FORMAT_MAJOR).x",
                found: members.formatVersion,
                advice: "use a version of MappedLog that knows this format"
            )
        }
        guard let segmentSize = members.segmentSize, SegmentGeometry.isValidSize(segmentSize) else {
            throw damage(
                "a segment size of 64 KiB to 4 GiB, a multiple of 64 KiB",
                members.segmentSize.map { "\($0)" } ?? "none"
            )
        }
        guard let id = members.id else { throw damage("an id", "none") }
        let defaults = LogOptions()
        self.id = id
        self.segmentSize = segmentSize
        others = Self.others(in: bytes)
        let mode = members.permissions.flatMap { mode_t($0, radix: 8) }
        permissions = mode.map { FilePermissions(rawValue: $0 & 0o666) } ?? defaults.permissions
        let chosen = members.durability.flatMap { Durability(settingsText: $0) }
        durability = chosen ?? defaults.durability
        retention = members.retention.flatMap { (try? $0.check()) == nil ? nil : $0 }
        compactAfter = members.compactAfterSeconds.flatMap { $0 < 0 ? nil : .seconds($0) }
        if chosen == nil, members.durability != nil || members.isOtherType.contains("durability") {
            fault = damage("a durability such as always, 10ms or 1MiB", members.durability ?? "no string")
        } else if mode == nil, members.permissions != nil || members.isOtherType.contains("permissions") {
            fault = damage("permissions such as 0600", members.permissions ?? "no string")
        } else if retention == nil, members.retention != nil || members.isOtherType.contains("retention") {
            fault = damage("a retention of bytes, ageSeconds or segments, each above 0", "another")
        } else if compactAfter == nil,
            members.compactAfterSeconds != nil || members.isOtherType.contains("compactAfterSeconds")
        {
            fault = damage("compactAfterSeconds, a whole number of seconds of 0 or more", "another")
        } else {
            fault = nil
        }
    }

    /// What of `options.json` this version doesn't know; nothing where that is no JSON object.
    static func others(in bytes: [UInt8]) -> [String: JSONMember] {
        let all = try? JSONDecoder().decode([String: JSONMember].self, from: Data(bytes))
        let known = Set(Members.CodingKeys.allCases.map(\.stringValue))
        return (all ?? [:]).filter { !known.contains($0.key) }
    }

    /// - Throws: `damaged` where what was kept of ``others`` can't be written again.
    func encoded() throws(LogError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let known = try? encoder.encode(Members(self)),
            let members = try? JSONDecoder().decode([String: JSONMember].self, from: known),
            let json = try? encoder.encode(members.merging(others) { known, _ in known })
        else {
            throw LogError(
                .damaged,
                expected: "members that can be written as JSON",
                found: others.keys.sorted().joined(separator: ", "),
                advice: "take what isn't the log's own out of options.json"
            )
        }
        return Array(json) + Array("\n".utf8)
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}

extension LogError {
    /// Whether the system said that there is nothing of that name.
    var isAbsence: Bool { errno == .noSuchFileOrDirectory || errno == .notDirectory }
}

extension Durability {
    private static let timeUnits: [(String, UInt64)] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)]
    private static let byteUnits: [(String, UInt64)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]

    /// As it stands in `options.json`: `never`, `always`, a duration such as `10ms`, or a size such as `1MiB`.
    var settingsText: String {
        switch self {
        case .never: "never"
        case .everyAppend: "always"
        case .interval(let duration):
            // Microseconds are the finest unit.
            Self.text((duration.wholeNanoseconds + 999) / 1000 * 1000, Self.timeUnits)
        case .bytes(let count): Self.text(count, Self.byteUnits)
        }
    }

    init?(settingsText text: String) {
        if text == "never" {
            self = .never
        } else if text == "always" {
            self = .everyAppend
        } else if let nanoseconds = Self.value(text, Self.timeUnits), let signed = Int64(exactly: nanoseconds) {
            self = .interval(.nanoseconds(signed))
        } else if let count = Self.value(text, Self.byteUnits) {
            self = .bytes(count)
        } else {
            return nil
        }
    }

    /// In the largest unit that leaves a whole number.
    private static func text(_ value: UInt64, _ units: [(name: String, size: UInt64)]) -> String {
        let unit = units.first { value.isMultiple(of: $0.size) } ?? units[units.count - 1]
        return "\(value / unit.size)\(unit.name)"
    }

    private static func value(_ text: String, _ units: [(name: String, size: UInt64)]) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits), number > 0,
            let unit = units.first(where: { $0.name == text.dropFirst(digits.count) })
        else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: unit.size)
        return overflow ? nil : value
    }
}
