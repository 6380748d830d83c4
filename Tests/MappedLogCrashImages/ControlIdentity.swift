import Glibc
import SystemPackage
import _CMappedLog

/// Which file a `live/control` takes itself for: only if it is this very one, its clean-close note counts.
struct ControlIdentity: Codable {
    let device: UInt64
    let inode: UInt64

    init?(of path: FilePath) {
        var status = stat()
        guard unsafe stat(path.string, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }

    /// The content of another such file, as if it had been written to this one.
    func adopt(_ content: [UInt8], of other: ControlIdentity) -> [UInt8] {
        guard content.count >= MemoryLayout<mlog_control>.size else { return content }
        var control = unsafe content.withUnsafeBytes { unsafe $0.loadUnaligned(as: mlog_control.self) }
        if control.device == other.device, control.inode == other.inode {
            (control.device, control.inode) = (device, inode)
        }
        if control.note.device == other.device, control.note.inode == other.inode {
            let wasRight = control.note.crc == Self.checksum(control.note)
            (control.note.device, control.note.inode) = (device, inode)
            if wasRight { control.note.crc = Self.checksum(control.note) }
        }
        return unsafe withUnsafeBytes(of: control) { unsafe Array($0) } + content[MemoryLayout<mlog_control>.size...]
    }

    private static func checksum(_ note: mlog_close_note) -> UInt32 {
        unsafe withUnsafeBytes(of: note) { unsafe ~mlog_crc32c_extend(.max, $0.baseAddress!, 60) }
    }
}
