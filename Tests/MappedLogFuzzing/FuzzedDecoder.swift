import MappedLogSigning
import SystemPackage

/// What reads bytes that somebody else may have written.
public enum FuzzedDecoder: String, CaseIterable, Sendable {
    /// The header and the two lines of a segment.
    case header
    /// The frames of a segment.
    case frames
    /// The sparse index of a segment.
    case index
    /// A compacted segment.
    case compacted
    /// `live/control`.
    case control
    /// A named tailer.
    case tailer
    /// `options.json`.
    case options

    /// The golden log that the fuzzed bytes are put into.
    var vector: String {
        switch self {
        case .header, .options: "roll"
        case .frames, .control: "records"
        case .index: "index"
        case .compacted: "compacted-segments"
        case .tailer: "named-tailer"
        }
    }

    /// The file that they are put into, relative to the log.
    var file: String {
        switch self {
        case .header, .frames, .index: "0000000000000000.mlog"
        case .compacted: "0000000000000000.mlog.lz4"
        case .control: "live/control"
        case .tailer: "tailers/audit"
        case .options: "options.json"
        }
    }

    /// The file with an input in it.
    ///
    /// An input's first byte is its mode; see ``FuzzedMode``.
    func content(_ original: [UInt8], _ input: ArraySlice<UInt8>, _ mode: FuzzedMode) -> [UInt8] {
        var content = original
        switch self {
        case .header:
            content.overlay(input.prefix(128), at: 0)
            content.overlay(input.dropFirst(128).prefix(32), at: 512)
            content.overlay(input.dropFirst(160).prefix(48), at: 1024)
            if mode.signs { content.signHeaderAndLines() }
        case .frames:
            content.overlay(input, at: 4096)
            if mode.signs { content.signFrames(from: 4096) }
        case .index:
            content.overlay(input, at: content.indexStart)
            if mode.signs { content.signIndex() }
        case .compacted:
            content.edit(input)
            if mode.signs { content.signCompacted() }
        case .control:
            content.edit(input)
            if mode.signs { content.signControl() }
        case .tailer:
            content.edit(input)
            if mode.signs { content.signTailer(of: GoldenLog.id) }
        case .options:
            content = Array(input)
        }
        return content
    }
}

/// What is done with an input.
public struct FuzzedMode: Sendable {
    /// Its checksums are made right, so that what lies behind them is reached.
    public let signs: Bool
    /// The log is opened for writing too.
    public let writes: Bool
    /// And repaired before.
    public let repairs: Bool

    /// Verified.
    public let verifies: Bool

    /// What costs more is done less often.
    init(_ byte: UInt8) {
        signs = byte & 1 != 0
        writes = byte & 0b0000_1110 == 0b0000_0010
        repairs = byte & 0b0011_1110 == 0b0011_0010
        verifies = byte & 0b1000_0000 != 0
    }
}

/// The golden logs of `spec/vectors`.
enum GoldenLog {
    static let folder = FilePath(#filePath).removingLastComponent().appending("../../spec/vectors")
    /// The id of all of them, as it stands in their files.
    static let id: [UInt8] = [
        0x5F, 0x0C, 0x3A, 0x52, 0x9D, 0x1E, 0x4B, 0x7A, 0x8C, 0x44, 0x2E, 0x6D, 0x10, 0xB7, 0xF9, 0xA3,
    ]
}
