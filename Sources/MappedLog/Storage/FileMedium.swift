internal import Glibc
internal import SystemPackage

/// A log in a directory of a local file system.
struct FileMedium: DirectoryMedium {
    let path: FilePath
    let permissions: FilePermissions
    var identity: DirectoryIdentity?

    init(path: FilePath, permissions: FilePermissions, identity: DirectoryIdentity? = nil) {
        self.path = path
        self.permissions = permissions
        self.identity = identity
    }

    var location: LogLocation { .file(path) }
    var isPersistent: Bool { true }

    /// Mappings of a file are shared only within one machine.
    static func refuseNetworkFileSystem(_ path: FilePath) throws(LogError) {
        let directory: OpenFile
        do throws(LogError) { directory = try OpenFile(path, O_RDONLY | O_DIRECTORY) } catch  where error.isAbsence {
            let isFile = error.errno == .notDirectory
            throw LogError(
                isFile ? .notALog : .notFound,
                file: path,
                expected: "a directory",
                found: isFile ? "something else" : "nothing",
                advice: "check the path, or make a log with `mlog create`"
            )
        }
        let type = directory.fileSystemType
        if let name = networkFileSystems[type] {
            throw LogError(
                .networkFileSystem,
                file: path,
                expected: "a local file system",
                found: name,
                advice: "put the log on a local disk; ship records, not mappings, to other machines"
            )
        }
    }

    /// By the magic numbers of statfs(2).
    ///
    /// What is behind FUSE can't be known; it doesn't share mappings reliably.
    static let networkFileSystems: [Int64: String] = [
        0x6969: "NFS", 0x517B: "SMB", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x00C3_6400: "Ceph",
        0x0102_1997: "9P", 0x5346_414F: "AFS", 0x6B41_4653: "AFS", 0x7375_7245: "Coda", 0x4750_4653: "GPFS",
        0x0BD0_0BD0: "Lustre", 0x6573_5546: "FUSE", 0x564C: "NCP",
    ]
}
