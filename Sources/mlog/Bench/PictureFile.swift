import Glibc
import SystemPackage

/// Where a picture goes: a file, whatever it was before, or a device or a pipe.
struct PictureFile {
    private let path: String
    private let file: FileDescriptor
    /// Whether there was nothing before.
    private let isNew: Bool

    /// Opens it, and leaves what is there as it is.
    init(_ path: String) throws {
        self.path = path
        do {
            (file, isNew) = try Self.open(FilePath(path))
        } catch {
            throw CommandFailure("\(path): \(error); give a file that can be written to with --plot")
        }
    }

    private static func open(_ path: FilePath) throws -> (FileDescriptor, isNew: Bool) {
        do {
            // A pipe that nobody reads is told, not waited for.
            let file = try FileDescriptor.open(path, .writeOnly, options: [.nonBlocking, .closeOnExec])
            let flags = fcntl(file.rawValue, F_GETFL)
            guard fcntl(file.rawValue, F_SETFL, flags & ~O_NONBLOCK) == 0 else { throw Errno(rawValue: errno) }
            return (file, false)
        } catch Errno.noSuchFileOrDirectory {
            // Whatever comes there meanwhile is somebody else's.
            let file = try FileDescriptor.open(
                path,
                .writeOnly,
                options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
            return (file, true)
        }
    }

    /// Nothing will be drawn: where nothing was there is nothing again.
    func giveUp() {
        try? file.close()
        if isNew { unsafe unlink(path) }
    }

    /// - Throws: where it can't be written.
    func write(_ plot: Plot) throws {
        do {
            // A device has no size.
            try? file.resize(to: 0)
            try file.writeAll(plot.svg.utf8)
            try file.close()
        } catch {
            throw CommandFailure("\(path): \(error)")
        }
    }
}
