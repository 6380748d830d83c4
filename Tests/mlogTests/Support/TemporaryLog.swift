import Foundation

/// A place for a log, in a directory of its own that goes away with it.
final class TemporaryLog: Sendable {
    let directory: String
    /// Where the log is, once somebody created it.
    let path: String

    init() throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("mlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        directory = parent.path
        path = directory + "/log"
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A log of lines, with small segments.
    convenience init(of lines: some Sequence<String>) async throws {
        try self.init()
        _ = try await Mlog.run("create", path, "--segment-size", "64KiB")
        try await Mlog.append(lines, to: path)
    }

    /// Changes one byte of a segment in the middle of the first occurrence of `text`.
    func damage(_ text: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        where name.hasSuffix(".mlog") {
            let file = URL(fileURLWithPath: "\(path)/\(name)")
            var bytes = try Data(contentsOf: file)
            guard let found = bytes.range(of: Data(text.utf8)) else { continue }
            bytes[found.lowerBound + text.utf8.count / 2] ^= 0x01
            let handle = try FileHandle(forWritingTo: file)
            try handle.write(contentsOf: bytes)
            try handle.close()
            return
        }
        throw CocoaError(.fileNoSuchFile)
    }
}
