internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The name of a log in `/dev/shm`, and the directory that it stands for.
///
/// The directory is world-writable: each log is a directory of its own there, whose name has its owner in it, and which
/// is nobody's log unless that user owns it.
struct SharedMemoryName: Hashable, Sendable {
    let name: String
    let owner: UInt32

    static let root: FilePath = "/dev/shm"
    private static let prefix = "mlog-"

    var directory: FilePath { Self.root.appending("\(Self.prefix)\(owner)-\(name)") }
    /// As the user who runs this names it.
    var text: String { owner == geteuid() ? name : "\(owner)/\(name)" }

    /// - Parameter text: `NAME`, or `UID/NAME`.
    /// - Throws: `invalidName`.
    init(_ text: String) throws(LogError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let owner = parts.count == 1 ? geteuid() : UInt32(parts[0])
        guard let owner, let name = parts.last, NamedTailerFile.isValidName(name) else {
            throw LogError(
                .invalidName,
                expected: "shm:NAME with 1 to 64 of A–Z a–z 0–9 . _ -, the first a letter or digit, or shm:UID/NAME",
                found: "shm:\(text)",
                advice: "choose such a name"
            )
        }
        self.name = name
        self.owner = owner
    }

    /// Nil: not the name of such a directory.
    init?(directory: String) {
        guard directory.hasPrefix(Self.prefix) else { return nil }
        let parts = directory.dropFirst(Self.prefix.count).split(separator: "-", maxSplits: 1)
        guard parts.count == 2, let owner = UInt32(parts[0]), NamedTailerFile.isValidName(String(parts[1])) else {
            return nil
        }
        (self.owner, name) = (owner, String(parts[1]))
    }

    /// - Throws: `unsuitableMedium` where there is no tmpfs at `/dev/shm`.
    static func checkRoot() throws(LogError) {
        let advice = "mount one: mount -t tmpfs -o mode=1777 tmpfs /dev/shm; or keep the log in a directory"
        let directory: OpenFile
        do throws(LogError) { directory = try OpenFile(root, O_RDONLY | O_DIRECTORY) } catch  where error.isAbsence {
            throw LogError(.unsuitableMedium, file: root, expected: "a tmpfs", found: "nothing", advice: advice)
        }
        // TMPFS_MAGIC and RAMFS_MAGIC of statfs(2).
        guard [0x0102_1994, 0x8584_58F6].contains(directory.fileSystemType) else {
            throw LogError(
                .unsuitableMedium,
                file: root,
                expected: "a tmpfs",
                found: "another file system, which is slower than memory and outlives it",
                advice: advice
            )
        }
    }

    /// The directory as it is; nil: there is none.
    ///
    /// - Throws: `occupied` where something else is in its place, or it is somebody else's.
    func identity() throws(LogError) -> DirectoryIdentity? {
        let status: stat
        do throws(Errno) { status = try SystemCall.statusOfName(directory) } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .system(error, "lstat(2)", file: directory)
        }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFDIR else {
            throw LogError(
                .occupied,
                file: directory,
                expected: "a directory",
                found: kind == S_IFLNK ? "a symbolic link" : "something else",
                advice: "find out who put it there and remove it, or choose another name"
            )
        }
        guard status.st_uid == owner else {
            throw LogError(
                .occupied,
                file: directory,
                expected: "a directory of user \(owner)",
                found: "one of user \(status.st_uid)",
                advice: "have its owner remove it, or choose another name; another user's log is shm:UID/NAME"
            )
        }
        return DirectoryIdentity(status)
    }
}
