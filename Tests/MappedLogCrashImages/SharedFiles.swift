import Glibc
import MappedLog
import SystemPackage
import _CDiskCalls
import _CMappedLog

/// What a log's processes share, mapped once more, to leave it as one that died would.
///
/// To be used by one thread at a time.
struct SharedFiles {
    let control: SharedFile
    /// The active one.
    let segment: SharedFile

    init(of log: FilePath, at position: UInt64) throws {
        let size = LogOptions.forCrashes.segmentSize
        let base = String(position / size * size, radix: 16)
        let name = String(repeating: "0", count: 16 - base.count) + base + ".mlog"
        control = try SharedFile(log.appending("live/control"), byteCount: Int(MLOG_CONTROL_BYTES))
        segment = try SharedFile(log.appending(name), byteCount: Int(size))
    }

    /// A thread takes the lock, does something, and dies.
    func dieWith(_ mutex: PartialKeyPath<mlog_control>, _ body: () -> Void) throws {
        let address = unsafe control.start + MemoryLayout<mlog_control>.offset(of: mutex)!
        let status = withoutActuallyEscaping(body) { body in
            var body = body
            return unsafe withUnsafeMutablePointer(to: &body) { body in
                unsafe disk_die_with(
                    address,
                    { unsafe $0!.assumingMemoryBound(to: (() -> Void).self).pointee() },
                    body
                )
            }
        }
        guard status == 0 else { throw Errno(rawValue: status) }
    }
}

/// A file, mapped for writing.
@safe final class SharedFile {
    fileprivate nonisolated(unsafe) let start: UnsafeMutableRawPointer
    private let byteCount: Int

    init(_ path: FilePath, byteCount: Int) throws {
        let file = try openFile(path.string, O_RDWR)
        defer { try? file.close() }
        let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw Errno(rawValue: errno) }
        unsafe start = mapped
        self.byteCount = byteCount
    }

    deinit { unsafe munmap(start, byteCount) }

    func copy() -> [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: start, count: byteCount)) }

    /// Puts back what had been there.
    func put(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe start.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    }

    /// As ``put(_:)``, one field only.
    func put(_ bytes: [UInt8], at field: PartialKeyPath<mlog_control>, byteCount: Int) {
        let offset = MemoryLayout<mlog_control>.offset(of: field)!
        unsafe bytes.withUnsafeBytes {
            unsafe (start + offset).copyMemory(from: $0.baseAddress! + offset, byteCount: byteCount)
        }
    }

    func store(_ value: UInt64, at offset: Int) {
        unsafe start.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }

    func store(_ value: UInt32, at field: PartialKeyPath<mlog_control>) {
        unsafe start.storeBytes(of: value, toByteOffset: MemoryLayout<mlog_control>.offset(of: field)!, as: UInt32.self)
    }
}
