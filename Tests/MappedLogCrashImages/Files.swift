import Glibc
import SystemPackage

/// A file's bytes.
func read(_ file: FileDescriptor) throws -> [UInt8] {
    let size = Int(try file.seek(offset: 0, from: .end))
    return try unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = try unsafe file.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
    }
}

/// What lies below a directory, by path relative to it, a directory before what lies in it.
///
/// Paths are strings here: a `FilePath` costs more than a system call where nothing is optimised.
func contents(below root: String) throws -> [(path: String, status: stat)] {
    var found: [(path: String, status: stat)] = []
    func add(_ directory: String) throws {
        let full = directory.isEmpty ? root : root + "/" + directory
        guard let stream = unsafe opendir(full) else { throw Errno(rawValue: errno) }
        defer { unsafe closedir(stream) }
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            let path = directory.isEmpty ? name : directory + "/" + name
            var status = stat()
            // What another thread has removed meanwhile isn't there.
            guard unsafe lstat(root + "/" + path, &status) == 0 else { continue }
            found.append((path, status))
            if status.isDirectory { try add(path) }
        }
    }
    try add("")
    return found
}

/// readlink(2); nil: there is no such link.
func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe readlink(path, $0.baseAddress!, $0.count) }
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
}

extension stat {
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
}

/// open(2).
func openFile(_ path: String, _ flags: CInt) throws -> FileDescriptor {
    let descriptor = unsafe open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    return FileDescriptor(rawValue: descriptor)
}

/// The sectors in which two contents of one length differ.
func sectorsThatDiffer(_ left: [UInt8], _ right: [UInt8]) -> [Int] {
    var found: [Int] = []
    unsafe left.withUnsafeBytes { left in
        unsafe right.withUnsafeBytes { right in
            // Whole pages first: most are equal.
            for page in stride(from: 0, to: right.count, by: 4096) {
                let end = min(page + 4096, right.count)
                if unsafe memcmp(left.baseAddress! + page, right.baseAddress! + page, end - page) == 0 { continue }
                for start in stride(from: page, to: end, by: DiskHistory.sectorBytes) {
                    let count = min(DiskHistory.sectorBytes, end - start)
                    if unsafe memcmp(left.baseAddress! + start, right.baseAddress! + start, count) != 0 {
                        found.append(start / DiskHistory.sectorBytes)
                    }
                }
            }
        }
    }
    return found
}

func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    unsafe left.count == right.count && memcmp(left, right, left.count) == 0
}
