internal import _CMappedLog

/// CRC32C (Castagnoli), as in `spec/format.md`, chapter "Checksums".
struct Checksum: Sendable {
    /// The register between bytes.
    private(set) var state: UInt32 = ~0

    /// The finished checksum of all that was added.
    var value: UInt32 { ~state }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress { state = unsafe mlog_crc32c_extend(state, start, bytes.count) }
    }

    mutating func add(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe add($0) }
    }

    /// Adds the eight bytes of an integer, little-endian.
    mutating func add(_ value: UInt64) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe add($0) }
    }

    /// Adds the first `byteCount` bytes of a layout's value.
    mutating func add<Layout: BitwiseCopyable>(_ value: Layout, first byteCount: Int) {
        unsafe withUnsafeBytes(of: value) { unsafe add(UnsafeRawBufferPointer(rebasing: $0[..<byteCount])) }
    }
}
