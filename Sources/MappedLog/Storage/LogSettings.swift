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

    /// The members of the JSON object; others are ignored, for versions to come.
    private struct Members: Codable {
        var formatVersion: String
        var id: String
        var segmentSize: UInt64
        // Who only reads doesn't need these two.
        var permissions: String?
        var durability: String?
    }

    init(id: LogID, options: LogOptions) {
        self.id = id.description
        segmentSize = options.segmentSize
        permissions = options.permissions
        durability = options.durability
    }

    /// - Throws: `notALog` when the file isn't there, `damaged` when it isn't what it should be.
    init(contentsOf path: FilePath) throws(LogError) {
        let text = try Self.read(path)
        let members: Members
        do {
            members = try JSONDecoder().decode(Members.self, from: text)
        } catch {
            throw Self.damaged(path, expected: "the log's options as JSON", found: "something else")
        }
        let version = members.formatVersion.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard version.count == 2, let major = version[0], version[1] != nil, major > 0 else {
            throw Self.damaged(path, expected: "a format version", found: members.formatVersion)
        }
        guard major <= UInt32(MLOG_FORMAT_MAJOR) else {
            throw LogError(
                .unsupportedVersion, file: path, expected: "format \(MLOG_FORMAT_MAJOR).x",
                found: members.formatVersion, advice: "use a version of MappedLog that knows this format")
        }
        guard SegmentGeometry.isValidSize(members.segmentSize) else {
            throw Self.damaged(
                path, expected: "a segment size of 64 KiB to 4 GiB, a multiple of 64 KiB",
                found: "\(members.segmentSize)")
        }
        guard LogID(members.id) != nil else {
            throw Self.damaged(path, expected: "a UUID as id", found: members.id)
        }
        id = members.id
        segmentSize = members.segmentSize
        let standard = LogOptions()
        let mode = members.permissions.flatMap { mode_t($0, radix: 8) } ?? standard.permissions.rawValue
        permissions = FilePermissions(rawValue: mode & 0o777)
        durability = members.durability.flatMap { Durability(settingsText: $0) } ?? standard.durability
    }

    private static func damaged(_ path: FilePath, expected: String, found: String) -> LogError {
        LogError(
            .damaged, file: path, expected: expected, found: found,
            advice: "restore the file from a copy; spec/format.md tells its members")
    }

    private static func read(_ path: FilePath) throws(LogError) -> Data {
        let file: OpenFile
        do throws(LogError) { file = try OpenFile(path, O_RDONLY | O_NOFOLLOW) } catch where error.isAbsence {
            throw LogError(
                .notALog, file: path.removingLastComponent(), expected: "a directory with options.json",
                found: "none", advice: "check the path, or make a log with `mlog create`")
        }
        return Data(try file.read(Int(min(file.byteCount, 1 << 20)), at: 0))
    }

    func encoded() -> [UInt8] {
        let mode = String(permissions.rawValue, radix: 8)
        let members = Members(
            formatVersion: "\(MLOG_FORMAT_MAJOR).\(MLOG_FORMAT_MINOR)", id: id, segmentSize: segmentSize,
            permissions: String(repeating: "0", count: max(0, 4 - mode.count)) + mode,
            durability: durability.settingsText)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let json = try? encoder.encode(members) else { fatalError("strings and integers always encode") }
        return Array(json) + Array("\n".utf8)
    }
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
