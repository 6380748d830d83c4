import Foundation
import Glibc
import MappedLog
import SystemPackage

/// Runs a test with a directory of its own (mkdtemp(3)), which is removed afterwards.
///
/// In memory, if asked to and where there is such a file system: for tests that flush a thousand times.
func withTemporaryDirectory<Result>(
    inMemory: Bool = false,
    _ body: (FilePath) throws -> Result
) throws -> Result {
    let path = try makeTemporaryDirectory(inMemory: inMemory)
    defer { try? FileManager.default.removeItem(atPath: path.string) }
    return try body(path)
}

/// As the form that isn't `async`.
func withTemporaryDirectory<Result>(_ body: (FilePath) async throws -> Result) async throws -> Result {
    let path = try makeTemporaryDirectory(inMemory: false)
    defer { try? FileManager.default.removeItem(atPath: path.string) }
    return try await body(path)
}

private func makeTemporaryDirectory(inMemory: Bool) throws -> FilePath {
    let memory = "/dev/shm"
    let parent = unsafe inMemory && access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
    var template = Array(FilePath(parent).appending("mapped-log-XXXXXX").string.utf8CString)
    let made = unsafe mkdtemp(&template)
    guard unsafe made != nil else { throw Errno(rawValue: errno) }
    return FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
}

extension LogOptions {
    /// The smallest segments, so that a few records already need several; nothing is flushed unasked.
    static var small: LogOptions { LogOptions(segmentSize: 64 << 10, durability: .never) }
}

/// The text of a number, repeated to a length.
func payload(_ number: Int, _ byteCount: Int) -> [UInt8] {
    let text = Array("record \(number) ".utf8)
    return (0..<byteCount).map { text[$0 % text.count] }
}
