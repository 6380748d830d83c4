import Foundation
import Glibc
public import SystemPackage

/// A directory that is gone with its last reference.
public final class TemporaryDirectory {
    /// Where it is.
    public let path: FilePath

    /// Makes one.
    ///
    /// - Parameter inMemory: In a tmpfs, where there is one: a flush takes no time there.
    /// - Throws: `Errno`.
    public init(inMemory: Bool = false) throws {
        let canBeInMemory = unsafe inMemory && access("/dev/shm", W_OK) == 0
        var template = Array("\(canBeInMemory ? "/dev/shm" : NSTemporaryDirectory())/mapped-log-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path.string)
    }
}

/// A program of this package, which lies beside the one that runs.
public func builtProgram(_ name: String) -> FilePath {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return FilePath(own).removingLastComponent().appending(name)
}
