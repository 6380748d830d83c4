import SystemPackage

@testable import MappedLog

/// A segment's bytes, to forge what a crash, a disk or a newer version could leave: every checksum is right.
struct SegmentImage {
    let base: UInt64
    var bytes: [UInt8]

    init(_ image: LogImage, _ base: UInt64 = 0) {
        self.base = base
        bytes = image.files[Self.name(base)]!
    }

    static func name(_ base: UInt64) -> String { base.hexadecimal(digits: 16) + ".mlog" }

    var salt: UInt64 { integer(at: 80) }

    func integer<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = UInt64.self) -> Value {
        (0..<Value.bitWidth / 8).reduce(0) { $0 | Value(truncatingIfNeeded: bytes[offset + $1]) << (8 * $1) }
    }

    mutating func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        for byte in 0..<Value.bitWidth / 8 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
    }

    /// The offsets of the frames, up to the first 0.
    var frames: [Int] {
        var found: [Int] = []
        var offset = 4096
        while offset + 24 <= bytes.count, integer(at: offset) as UInt64 != 0 {
            found.append(offset)
            offset += size(at: offset)
        }
        return found
    }

    func size(at offset: Int) -> Int { 24 + (Int(integer(at: offset, as: UInt32.self)) + 7) / 8 * 8 }

    /// Writes a frame.
    mutating func putFrame(
        at offset: Int,
        kind: UInt8 = 1,
        flags: UInt8 = 0,
        reserved: UInt16 = 0,
        payload: [UInt8] = [],
        stating durable: UInt64? = nil,
        timestamp: Int64 = 0
    ) {
        store(UInt32(payload.count), at: offset)
        bytes[offset + 4] = kind
        bytes[offset + 5] = flags
        store(reserved, at: offset + 6)
        store(timestamp, at: offset + 16)
        let padded = payload + [UInt8](repeating: 0, count: (8 - payload.count % 8) % 8)
        bytes.replaceSubrange(offset + 24..<offset + 24 + padded.count, with: padded)
        state(durable, at: offset)
    }

    /// Gives a frame the watermark it states; nil: none.
    mutating func state(_ durable: UInt64?, at offset: Int) {
        store(durable.map { UInt32((base + UInt64(offset) - $0) / 8) } ?? .max, at: offset + 12)
        sign(offset)
    }

    /// Makes all frames state a watermark.
    mutating func stateEverywhere(_ durable: UInt64?) {
        for offset in frames { state(durable, at: offset) }
    }

    /// Gives a frame its right checksum.
    mutating func sign(_ offset: Int) {
        var checksum = Checksum()
        checksum.add(salt)
        checksum.add(base + UInt64(offset))
        checksum.add(Array(bytes[offset..<offset + 8]))
        checksum.add(Array(bytes[offset + 12..<offset + size(at: offset)]))
        store(checksum.value, at: offset + 8)
    }

    /// Gives the header its right checksum.
    mutating func signHeader() {
        var checksum = Checksum()
        checksum.add(Array(bytes[0..<124]))
        store(checksum.value, at: 124)
    }

    /// Gives the activation or the seal line its right checksum.
    mutating func signLine(at offset: Int, byteCount: Int) {
        var checksum = Checksum()
        checksum.add(salt)
        checksum.add(base)
        checksum.add(Array(bytes[offset..<offset + byteCount - 4]))
        store(checksum.value, at: offset + byteCount - 4)
    }
}

extension LogImage {
    /// Changes a segment.
    mutating func edit(_ base: UInt64 = 0, _ change: (inout SegmentImage) -> Void) {
        var segment = SegmentImage(self, base)
        change(&segment)
        files[SegmentImage.name(base)] = segment.bytes
    }

    /// The base positions of the segments.
    var bases: [UInt64] {
        files.keys.filter { $0.hasSuffix(".mlog") && $0.count == 21 }.map { UInt64($0.prefix(16), radix: 16)! }.sorted()
    }

    /// What a crash would leave of a log to which `body` appends; nothing is flushed but where it says so.
    static func ofCrash(
        segmentSize: UInt64 = 64 << 10,
        _ body: (Log) throws -> Void
    ) throws -> LogImage {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: segmentSize, durability: .never))
            try body(log)
            var image = try LogImage(of: path).withoutLive
            // Housekeeping prepares the next segment at its own time.
            let end = try log.endPosition.rawValue
            for base in image.bases where base > end { image.files[SegmentImage.name(base)] = nil }
            return image
        }
    }

    /// Runs a test with a copy of the log as files.
    func withFiles<Result>(_ body: (FilePath) throws -> Result) throws -> Result {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            try write(to: path)
            return try body(path)
        }
    }
}
