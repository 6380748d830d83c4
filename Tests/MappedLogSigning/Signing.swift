import _CMappedLog

/// Right checksums for wrong contents (`spec/format.md`).
extension [UInt8] {
    private var salt: [UInt8] { slice(80, 8) }
    private var base: [UInt8] { slice(64, 8) }
    private var segmentBytes: Int { Int(integer(at: 56, bytes: 8) & 0xFFFF_FFFF) }

    /// Where the index begins, by the file's size.
    package var indexStart: Int { count - (count / 65_536 * 32 + 4095) / 4096 * 4096 }

    private func slice(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        guard offset >= 0, byteCount > 0, offset < count else { return [] }
        return Array(self[offset..<Swift.min(offset + byteCount, count)])
    }

    private static func checksum(_ parts: [UInt8]...) -> UInt32 {
        ~parts.reduce(UInt32.max) { state, part in
            unsafe part.withUnsafeBytes {
                unsafe $0.isEmpty ? state : mlog_crc32c_extend(state, $0.baseAddress!, $0.count)
            }
        }
    }

    package mutating func signHeaderAndLines(at start: Int = 0, lines: (activation: Int, seal: Int) = (512, 1024)) {
        store(Self.checksum(slice(start, 124)), at: start + 124)
        let key = slice(start + 80, 8) + slice(start + 64, 8)
        store(Self.checksum(key, slice(lines.activation, 28)), at: lines.activation + 28)
        store(Self.checksum(key, slice(lines.seal, 44)), at: lines.seal + 44)
    }

    package mutating func signFrames(from start: Int) {
        let salt = salt
        let base = integer(at: 64, bytes: 8)
        var offset = start
        while offset + 24 <= indexStart, integer(at: offset, bytes: 8) != 0 {
            let size = 24 + (Int(integer(at: offset, bytes: 4)) + 7) & ~7
            guard offset + size <= indexStart else { return }
            let position = base &+ UInt64(offset)
            store(
                Self.checksum(salt, Self.bytes(position), slice(offset, 8), slice(offset + 12, size - 12)),
                at: offset + 8
            )
            offset += size
        }
    }

    package mutating func signIndex() {
        let salt = salt
        let base = integer(at: 64, bytes: 8)
        for entry in stride(from: indexStart, to: Swift.min(indexStart + count / 65_536 * 32, count - 31), by: 32) {
            let position = base &+ integer(at: entry, bytes: 4)
            store(Self.checksum(salt, Self.bytes(position), slice(entry, 4), slice(entry + 8, 24)), at: entry + 4)
        }
    }

    package mutating func signCompacted() {
        signHeaderAndLines(at: 40, lines: (168, 200))
        store(Self.checksum(slice(0, 252)), at: 252)
        let table = Int(integer(at: count - 64, bytes: 8) & 0xFFFF_FFFF)
        let blocks = Int(integer(at: count - 28, bytes: 4) & 0xFFFF)
        for block in 0..<blocks {
            let entry = table + 8 + 16 * block
            guard entry + 16 <= count else { break }
            let offset = Int(integer(at: entry, bytes: 8) & 0xFFFF_FFFF)
            let size = Int(integer(at: entry + 8, bytes: 4) & 0x7FFF_FFFF)
            store(Self.checksum(slice(offset, size + 8)), at: entry + 12)
        }
        store(Self.checksum(slice(256, 15), slice(table - 8, 8)), at: count - 24)
        store(Self.checksum(slice(table, count - 12 - table)), at: count - 12)
    }

    package mutating func signControl() {
        let note = MemoryLayout<mlog_control>.offset(of: \.note)!
        store(Self.checksum(slice(note, 60)), at: note + 60)
    }

    package mutating func signTailer(of id: [UInt8]) {
        for slot in [0, 512] { store(Self.checksum(id, slice(slot, 60)), at: slot + 60) }
    }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
