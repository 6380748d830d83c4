import Foundation
import Glibc
import SystemPackage

/// Small file systems for tests; only who may mount has them.
enum Mount {
    static let reason = "needs the right to mount (root)"

    /// Whether this process may mount: tried once.
    static let isAllowed: Bool = {
        guard geteuid() == 0 else { return false }
        return (try? withTemporaryDirectory { try withFileSystem(at: $0, byteCount: 1 << 16) { true } }) ?? false
    }()

    /// A file system in memory of this size.
    static func withFileSystem<Result>(
        at path: FilePath,
        byteCount: Int,
        _ body: () throws -> Result
    ) throws -> Result {
        try check(unsafe mount("tmpfs", path.string, "tmpfs", 0, "size=\(byteCount)"))
        defer { _ = unsafe umount2(path.string, CInt(MNT_DETACH)) }
        return try body()
    }

    /// The directory a second time, read-only.
    static func withReadOnly<Result>(
        of source: FilePath,
        at path: FilePath,
        _ body: () throws -> Result
    ) throws -> Result {
        try check(unsafe mount(source.string, path.string, nil, UInt(MS_BIND), nil))
        defer { _ = unsafe umount2(path.string, CInt(MNT_DETACH)) }
        try check(unsafe mount(nil, path.string, nil, UInt(MS_BIND | MS_REMOUNT | MS_RDONLY), nil))
        return try body()
    }

    private static func device(of path: FilePath) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path.string)[.systemNumber] as? Int
    }

    private static func check(_ status: CInt) throws {
        if status != 0 { throw Errno(rawValue: errno) }
    }

    static let bindfs: String? = ["/usr/bin/bindfs", "/bin/bindfs", "/usr/local/bin/bindfs"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// The directory a second time, through FUSE.
    static func withFUSE<Result>(of source: FilePath, at path: FilePath, _ body: () throws -> Result) throws -> Result {
        let process = try Process.run(URL(filePath: bindfs!), arguments: ["-f", source.string, path.string])
        defer {
            _ = unsafe umount2(path.string, CInt(MNT_DETACH))
            process.terminate()
            process.waitUntilExit()
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while try device(of: path) == device(of: source) {
            guard process.isRunning, ContinuousClock.now < deadline else { throw Errno.ioError }
            usleep(10_000)
        }
        return try body()
    }
}
