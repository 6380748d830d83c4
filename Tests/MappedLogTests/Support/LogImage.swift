import Foundation
import Glibc
import SystemPackage

/// The files of a log as bytes in memory: to compare, to change, and to write back.
struct LogImage: Hashable {
    /// By path relative to the log; directories are left out.
    var files: [String: [UInt8]] = [:]

    /// Reads a log's files.
    init(of log: FilePath) throws {
        for name in try FileManager.default.subpathsOfDirectory(atPath: log.string) {
            let path = log.appending(name).string
            var isDirectory: ObjCBool = false
            guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue
            else { continue }
            files[name] = try readFile(log.appending(name))
        }
    }

    /// Without the running system's state, which an open may change: what a copy to another machine has.
    var withoutLive: LogImage {
        var image = self
        image.files = files.filter { !$0.key.hasPrefix("live/") }
        return image
    }

    /// Without what recovery kept.
    var withoutLostAndFound: LogImage {
        var image = self
        image.files = files.filter { !$0.key.hasPrefix("lost+found/") }
        return image
    }

    /// Makes the directory hold these files and no others.
    ///
    /// A file that is there keeps its inode.
    func write(to log: FilePath) throws {
        let manager = FileManager.default
        for directory in ["live", "tailers", "lost+found"] {
            try manager.createDirectory(
                atPath: log.appending(directory).string,
                withIntermediateDirectories: true
            )
        }
        for name in try LogImage(of: log).files.keys where files[name] == nil {
            try manager.removeItem(atPath: log.appending(name).string)
        }
        for (name, bytes) in files { try writeFile(log.appending(name), bytes) }
    }
}

func readFile(_ path: FilePath) throws -> [UInt8] {
    let file = try FileDescriptor.open(path, .readOnly)
    return try file.closeAfter {
        let size = Int(try file.seek(offset: 0, from: .end))
        return try unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = try unsafe file.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

/// Writes a file in place: its inode stays.
///
/// Pages of zeros are left as holes, as they are in a segment never written.
func writeFile(_ path: FilePath, _ bytes: [UInt8]) throws {
    let file = try FileDescriptor.open(path, .readWrite, options: .create, permissions: .ownerReadWrite)
    let zeros = [UInt8](repeating: 0, count: 4096)
    try file.closeAfter {
        try file.resize(to: 0)
        try file.resize(to: Int64(bytes.count))
        for start in stride(from: 0, to: bytes.count, by: zeros.count) {
            let page = bytes[start..<min(start + zeros.count, bytes.count)]
            let isBlank = unsafe page.withUnsafeBytes { unsafe memcmp($0.baseAddress!, zeros, $0.count) == 0 }
            if !isBlank { _ = try file.writeAll(toAbsoluteOffset: Int64(start), page) }
        }
    }
}

/// Changes bytes of a file in place.
func edit(_ path: FilePath, at offset: Int, _ change: (UInt8) -> UInt8) throws {
    let file = try FileDescriptor.open(path, .readWrite)
    try file.closeAfter {
        var byte: [UInt8] = [0]
        _ = try unsafe byte.withUnsafeMutableBytes { buffer in
            try unsafe file.read(fromAbsoluteOffset: Int64(offset), into: buffer)
        }
        _ = try file.writeAll(toAbsoluteOffset: Int64(offset), [change(byte[0])])
    }
}

/// Copies a directory with everything in it: the copies have other inodes.
func copyDirectory(_ source: FilePath, to target: FilePath) throws {
    try FileManager.default.copyItem(atPath: source.string, toPath: target.string)
}

func removeFile(_ path: FilePath) throws {
    try FileManager.default.removeItem(atPath: path.string)
}
