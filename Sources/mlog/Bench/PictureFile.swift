import Glibc
import SystemPackage

/// Where a picture goes: a file, whatever it was before, or a device or a pipe.
struct PictureFile {
    private let path: String
    private let file: FileDescriptor
    private let wasThere: Bool

    /// Opens it, and leaves what is there as it is.
    init(_ path: String) throws {
        self.path = path
        wasThere = unsafe faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0
        do {
            file = try FileDescriptor.open(
                FilePath(path),
                .writeOnly,
                options: [.create, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
        } catch {
            throw CommandFailure("\(path): \(error); give a file that can be written to with --plot")
        }
    }

    /// Nothing will be drawn: what wasn't there isn't there either.
    func giveUp() {
        try? file.close()
        if !wasThere { unsafe unlink(path) }
    }

    /// - Throws: where there is nothing to draw, or it can't be written.
    func write(_ plot: Plot) throws {
        guard !plot.isEmpty else {
            throw CommandFailure("\(path): nothing to draw: no result has a throughput by record size, or percentiles")
        }
        // A device has no size.
        try? file.resize(to: 0)
        do {
            try file.writeAll(plot.svg.utf8)
        } catch {
            throw CommandFailure("\(path): \(error)")
        }
        try file.close()
    }
}
