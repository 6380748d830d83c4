internal import _CMappedLog

/// The first eight bytes of a frame, stored last: length, kind, flags.
///
/// 0: nothing here yet.
struct FrameWord: Hashable, Sendable {
    let rawValue: UInt64

    @inline(__always)
    init(rawValue: UInt64) { self.rawValue = rawValue }

    @inline(__always)
    init(kind: Kind, length: UInt32, flags: UInt8 = 0) {
        rawValue = UInt64(length) | UInt64(kind.rawValue) << 32 | UInt64(flags) << 40
    }

    struct Kind: Hashable, Sendable {
        let rawValue: UInt8

        static let record = Kind(rawValue: 1)
        static let end = Kind(rawValue: 2)
        static let mark = Kind(rawValue: 3)
        static let lost = Kind(rawValue: 5)

        /// Skippable and without a sequence, whatever it may be.
        var isSkippable: Bool { rawValue >= 0x80 }
    }

    enum Batch {
        static let first = UInt8(MLOG_FLAG_BATCH_FIRST)
        static let inner = UInt8(MLOG_FLAG_BATCH_INNER)
        static let last = UInt8(MLOG_FLAG_BATCH_LAST)
    }

    @inline(__always) var length: UInt64 { rawValue & 0xFFFF_FFFF }
    @inline(__always) var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: rawValue >> 32)) }
    @inline(__always) var flags: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 40) }
    @inline(__always) var reserved: UInt64 { rawValue >> 48 }

    /// What the frame occupies: header, payload, padding to 8 bytes.
    ///
    /// At most 2³² + 24, so sums of it can't wrap.
    @inline(__always) var frameSize: UInt64 { Self.frameSize(payload: length) }

    @inline(__always)
    static func frameSize(payload: UInt64) -> UInt64 { (payload + 31) & ~7 }

    /// A record outside any batch, with nothing unknown about it: all that the fast paths handle.
    @inline(__always) var isPlainRecord: Bool { rawValue >> 32 == UInt64(MLOG_KIND_RECORD) }

    /// What this version can't read in a frame whose checksum is right, or nil.
    var unsupportedPart: String? {
        if reserved != 0 { return "reserved bits 0x\(reserved.hexadecimal(digits: 4))" }
        if kind.isSkippable { return nil }
        switch kind {
        case .record:
            let isKnown = [0, Batch.first, Batch.inner, Batch.last].contains(flags)
            return isKnown ? nil : "flags 0x\(flags.hexadecimal(digits: 2))"
        case .end, .mark, .lost:
            if flags != 0 { return "flags 0x\(flags.hexadecimal(digits: 2))" }
            return kind == .lost || length == 0 ? nil : "kind \(kind.rawValue) with a payload"
        default:
            return "kind \(kind.rawValue)"
        }
    }

    var description: String {
        "length \(length), kind \(kind.rawValue), flags \(flags)"
    }
}

/// A frame that was found whole.
struct Frame: Sendable {
    let offset: UInt64
    let word: FrameWord
    let lag: UInt32
    /// As stored: nanoseconds since 1970, or, of a lost frame, the sequence of the next record.
    let timestamp: Int64

    var size: UInt64 { word.frameSize }
    var end: UInt64 { offset + size }
    var kind: FrameWord.Kind { word.kind }

    /// The durable watermark when the frame was appended, if it says so.
    func statedDurable(base: UInt64) -> UInt64? {
        guard lag != MLOG_LAG_NO_STATEMENT else { return nil }
        let (watermark, overflow) = (base + offset).subtractingReportingOverflow(UInt64(lag) * 8)
        return overflow ? nil : watermark
    }
}
