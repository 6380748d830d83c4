import Glibc
import SystemPackage
import _CMappedLog
import _CTestSupport

/// Looks at what the processes of a log share, as none of them does.
@safe final class SharedState: Sendable {
    private nonisolated(unsafe) let control: UnsafeMutableRawPointer
    private nonisolated(unsafe) let waiters: UnsafeMutableRawPointer

    init(of log: FilePath) throws {
        unsafe control = try Self.map(log.appending("live/control"), Int(MLOG_CONTROL_BYTES))
        unsafe waiters = try Self.map(log.appending("live/waiters"), Int(MLOG_WAITERS_BYTES))
    }

    deinit {
        unsafe munmap(control, Int(MLOG_CONTROL_BYTES))
        unsafe munmap(waiters, Int(MLOG_WAITERS_BYTES))
    }

    private static func map(_ path: FilePath, _ byteCount: Int) throws -> UnsafeMutableRawPointer {
        let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
        defer { try? file.close() }
        let mapped = unsafe mmap(nil, byteCount, PROT_READ, MAP_SHARED, file.rawValue, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw Errno(rawValue: errno) }
        return unsafe mapped
    }

    /// Nobody has taken it since its owner died: FUTEX_OWNER_DIED of futex(2).
    var isAppendLockOfDead: Bool {
        let offset = MemoryLayout<mlog_control>.offset(of: \.append_mutex)!
        return unsafe control.load(fromByteOffset: offset, as: UInt32.self) & 0x4000_0000 != 0
    }

    /// The word for what is committed: whether somebody sleeps or is about to, and how many wakes there were.
    var committed: (isAwaited: Bool, wakes: UInt32) {
        let word = unsafe UInt32(truncatingIfNeeded: test_load(waiters.assumingMemoryBound(to: UInt64.self)))
        return (word & 1 != 0, word >> 1)
    }
}
