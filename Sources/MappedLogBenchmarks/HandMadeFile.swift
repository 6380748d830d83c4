import Glibc
import SystemPackage

/// What one writes without a library: each record behind its length, in a buffer of 64 KiB, with write(2).
struct HandMadeFile: ~Copyable {
    private let file: FileDescriptor
    private var buffer: [UInt8] = []

    init(_ path: FilePath) throws {
        file = try FileDescriptor.open(
            path,
            .writeOnly,
            options: [.create, .exclusiveCreate],
            permissions: .ownerReadWrite
        )
        buffer.reserveCapacity(1 << 17)
    }

    deinit {
        try? file.close()
    }

    mutating func append(_ payload: [UInt8]) throws {
        for shift in stride(from: 0, to: 32, by: 8) { buffer.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
        buffer.append(contentsOf: payload)
        if buffer.count >= 1 << 16 { try writeBuffer() }
    }

    mutating func sync() throws {
        try writeBuffer()
        guard fdatasync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
    }

    private mutating func writeBuffer() throws {
        _ = try unsafe buffer.withUnsafeBytes { try unsafe file.writeAll($0) }
        buffer.removeAll(keepingCapacity: true)
    }
}
