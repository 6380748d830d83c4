import Foundation
import Glibc
public import SystemPackage
import _CTestSupport

/// A small file system of its own: on a loop device over a file in a tmpfs, or a tmpfs itself.
///
/// Needs root. /// It can be made full, and so can what is below it: then writes that the file system believes it has room for fail.
public final class SmallDisk {
    /// Which file system.
    public enum Kind: String, CaseIterable, Sendable {
        case ext4
        case xfs
        case btrfs
        case tmpfs

        // The smallest that its mkfs makes; the file below is sparse.
        var byteCount: Int {
            switch self {
            case .ext4: 24 << 20
            case .xfs: 304 << 20
            case .btrfs: 112 << 20
            case .tmpfs: 8 << 20
            }
        }

        var maker: [String] {
            switch self {
            // Everything that is written later has its place below from the beginning, but for what files hold.
            case .ext4: ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
            case .xfs: ["mkfs.xfs", "-q", "-f"]
            case .btrfs: ["mkfs.btrfs", "-q", "-f"]
            case .tmpfs: []
            }
        }
    }

    /// Why no such file system can be made here, or nil.
    public static let obstacle: String? = {
        guard geteuid() == 0 else { return "needs root, to mount file systems" }
        do { _ = try SmallDisk(.ext4) } catch { return "no loop devices here: \(error)" }
        return nil
    }()

    /// Why this kind can't be made here, or nil.
    public static func obstacle(_ kind: Kind) -> String? {
        if let obstacle { return obstacle }
        do { _ = try SmallDisk(kind) } catch { return "\(error)" }
        return nil
    }

    /// Where it is mounted.
    public var path: FilePath { directory.path.appending("disk") }
    /// Which it is.
    public let kind: Kind
    private let directory: TemporaryDirectory
    private var below: FilePath { directory.path.appending("below") }
    private var device: String?

    /// Makes and mounts one.
    public init(_ kind: Kind) throws {
        self.kind = kind
        directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
        if kind == .tmpfs {
            try Self.check(unsafe mount("tmpfs", path.string, "tmpfs", 0, "size=\(kind.byteCount)"), "mount")
            return
        }
        try FileManager.default.createDirectory(atPath: below.string, withIntermediateDirectories: false)
        try Self.check(unsafe mount("tmpfs", below.string, "tmpfs", 0, "size=\(kind.byteCount + 1 << 20)"), "mount")
        let file = below.appending("file").string
        try Self.check(unsafe Glibc.close(creat(file, 0o600)), "creat")
        try Self.check(unsafe truncate(file, kind.byteCount), "truncate")
        try Self.run(kind.maker + [file])
        device = try Self.run(["losetup", "--find", "--show", file]).trimmingCharacters(in: .whitespacesAndNewlines)
        // Of a longer request the loop driver takes a short write for a whole one: a disk that lies, which no log survives.
        let queue = "/sys/block/\(FilePath(device!).lastComponent!.string)/queue/max_sectors_kb"
        try "4".write(toFile: queue, atomically: false, encoding: .utf8)
        try mountDevice()
    }

    deinit {
        _ = unsafe umount2(path.string, CInt(MNT_DETACH))
        if let device { _ = try? Self.run(["losetup", "--detach", device]) }
        if kind != .tmpfs { _ = unsafe umount2(below.string, CInt(MNT_DETACH)) }
    }

    private func mountDevice() throws {
        try Self.check(unsafe mount(device!, path.string, kind.rawValue, 0, nil), "mount")
    }

    /// Unmounts and mounts it again: what the disk lacks is gone from the cache.
    ///
    /// Nothing may be open on it.
    public func remount() throws {
        guard device != nil else { return }
        try Self.check(unsafe umount2(path.string, 0), "umount")
        try mountDevice()
    }

    // MARK: Full

    /// Takes all room of the file system but so many bytes.
    public func fill(leaving rest: Int) throws {
        try Self.fill(path.appending("ballast"), leaving: rest)
    }

    /// Gives the room back.
    public func free() throws {
        try FileManager.default.removeItem(atPath: path.appending("ballast").string)
    }

    /// Takes all room below the file system but so many bytes.
    public func fillBelow(leaving rest: Int) throws { try Self.fill(below.appending("ballast"), leaving: rest) }

    /// Gives the room below the file system back.
    public func freeBelow() throws {
        try FileManager.default.removeItem(atPath: below.appending("ballast").string)
    }

    private static func fill(_ file: FilePath, leaving rest: Int) throws {
        let descriptor = try FileDescriptor.open(file, .readWrite, options: [.create], permissions: .ownerReadWrite)
        defer { try? descriptor.close() }
        var size = 0
        var step = 64 << 20
        while step >= 4096 {
            if posix_fallocate(descriptor.rawValue, size, step) == 0 { size += step } else { step /= 2 }
        }
        try check(ftruncate(descriptor.rawValue, max(size - rest, 0)), "ftruncate")
        try check(fsync(descriptor.rawValue), "fsync")
    }

    // MARK: Small parts

    private static func check(_ status: CInt, _ call: String) throws {
        if status != 0 { throw Refuted("\(call): \(Errno(rawValue: errno))") }
    }

    @discardableResult
    private static func run(_ arguments: [String]) throws -> String {
        // Found by env(1); whatever they ask, nobody answers.
        let path = "PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
        let process = try ChildProcess(["/usr/bin/env", path] + arguments)
        var text = ""
        while let line = try process.line(within: 60) { text += line + "\n" }
        guard try process.wait(upTo: 60) == .exited(0) else { throw Refuted("\(arguments[0]): \(text)") }
        return text
    }
}
