import Glibc
public import SystemPackage

/// The files of a directory as bytes.
public struct DiskImage: Sendable {
    /// By path relative to the directory.
    public var files: [String: [UInt8]] = [:]
    /// The same.
    public var directories: Set<String> = []

    /// Nothing.
    public init() {}

    /// Reads a directory.
    public init(of root: FilePath) throws {
        let root = root.string
        for (path, status) in try contents(below: root) {
            if status.isDirectory {
                directories.insert(path)
            } else {
                let file = try openFile(root + "/" + path, O_RDONLY)
                files[path] = try file.closeAfter { try read(file) }
            }
        }
    }

    /// Makes the directory hold this and nothing else.
    ///
    /// A file that is there keeps its inode: `live/control` names its own.
    public func write(to root: FilePath) throws {
        let root = root.string
        let before = try contents(below: root).reversed()
        for (path, status) in before {
            if status.isDirectory {
                if !directories.contains(path) { _ = unsafe rmdir(root + "/" + path) }
            } else if files[path] == nil {
                _ = unsafe unlink(root + "/" + path)
            }
        }
        for path in directories.sorted() where !before.contains(where: { $0.path == path }) {
            guard unsafe mkdir(root + "/" + path, 0o700) == 0 else { throw Errno(rawValue: errno) }
        }
        try write(files.keys, to: FilePath(root))
    }

    /// Writes just these of its files.
    public func write(_ paths: some Sequence<String>, to root: FilePath) throws {
        for path in paths {
            guard let bytes = files[path] else { continue }
            let file = try openFile(root.string + "/" + path, O_RDWR | O_CREAT)
            try file.closeAfter {
                // What it held goes first, so that zeros are holes, as they are in what was allocated only.
                try file.resize(to: 0)
                try file.resize(to: Int64(bytes.count))
                try unsafe bytes.withUnsafeBytes { bytes in
                    for start in stride(from: 0, to: bytes.count, by: 4096) {
                        let page = unsafe UnsafeRawBufferPointer(
                            rebasing: bytes[start..<min(start + 4096, bytes.count)]
                        )
                        if unsafe isZero(page) { continue }
                        _ = try unsafe file.writeAll(toAbsoluteOffset: Int64(start), page)
                    }
                }
            }
        }
    }
}

private func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return true }
    return unsafe bytes[0] == 0 && memcmp(start, start + 1, bytes.count - 1) == 0
}
