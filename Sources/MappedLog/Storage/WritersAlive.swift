internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// How many writers a log has, as the table of locks in `/proc/locks` (proc_locks(5)) shows.
///
/// A look takes no lock, and needs no permission for the lock file but to see it.
struct WritersAlive: Hashable, Sendable {
    /// Open for writing.
    var shared = 0
    /// About to be: the first writer, while it recovers.
    var exclusive = 0

    static let none = WritersAlive()

    var isAny: Bool { shared + exclusive > 0 }

    private init() {}

    init(shared: Int) {
        self.shared = shared
    }

    /// Nil: the file or the table can't be looked at.
    init?(lockFile: FilePath) {
        let status: stat
        do throws(Errno) { status = try SystemCall.status(lockFile) } catch {
            // Without the file nobody can have locked it.
            if error == .noSuchFileOrDirectory { return }
            return nil
        }
        guard let table = Self.table() else { return nil }
        // Where a file system has device numbers of its own, stat(2) tells others than the table.
        let isExact =
            (try? OpenFile(lockFile.removingLastComponent(), O_RDONLY | O_DIRECTORY))
            .map { ![0x9123_683E, 0x794C_7630].contains($0.fileSystemType) } ?? true
        let device = Self.numbers(UInt64(status.st_dev))
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 8, fields[1] == "OFDLCK", let place = fields[5].lastIndex(of: ":"),
                UInt64(fields[5][fields[5].index(after: place)...]) == UInt64(status.st_ino),
                !isExact || fields[5][..<place] == device, let first = UInt64(fields[6]),
                first <= UInt64(MLOG_LOCK_WRITER),
                fields[7] == "EOF" || UInt64(fields[7]).map({ $0 >= UInt64(MLOG_LOCK_WRITER) }) == true
            else { continue }
            if fields[3] == "READ" { shared += 1 } else { exclusive += 1 }
        }
    }

    /// Major and minor number as the table has them (makedev(3)).
    private static func numbers(_ device: UInt64) -> String {
        let major = device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000
        let minor = device & 0xFF | device >> 12 & 0xFFFF_FF00
        return "\(major.hexadecimal(digits: 2)):\(minor.hexadecimal(digits: 2))"
    }

    private static func table() -> String? {
        guard let file = try? OpenFile("/proc/locks", O_RDONLY) else { return nil }
        var bytes: [UInt8] = []
        while true {
            guard let piece = try? file.read(1 << 16, at: UInt64(bytes.count)) else { return nil }
            if piece.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece
        }
    }
}
