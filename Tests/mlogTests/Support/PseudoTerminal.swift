import Foundation
import Glibc
import Subprocess
import SystemPackage
import Testing

/// A terminal of our own, for what the command says only to a person.
enum PseudoTerminal {
    /// TIOCSPTLCK and TIOCGPTN, which Glibc's module doesn't have, nor posix_openpt(3) that stands on them.
    private static let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

    /// Runs a line of bash in which `$mlog` is the command, with a terminal as its standard output and error; gives
    /// back what appeared on it.
    ///
    /// `input` has been typed there by then.
    static func shell(
        _ line: String,
        environment: [String: String] = [:],
        input: String = ""
    ) async throws -> Outcome {
        // Should the tests have no terminal of their own, this one must not become it.
        let options = FileDescriptor.OpenOptions(rawValue: O_NOCTTY | O_CLOEXEC)
        let master = try FileDescriptor.open("/dev/ptmx", .readWrite, options: options)
        defer { try? master.close() }
        var isLocked: Int32 = 0
        var number: Int32 = 0
        let results = [
            unsafe ioctl(master.rawValue, setLock, &isLocked), unsafe ioctl(master.rawValue, getNumber, &number),
        ]
        try #require(results == [0, 0])
        let terminal = try FileDescriptor.open(FilePath("/dev/pts/\(number)"), .readWrite, options: options)
        // On a thread of its own: a few that wait would hold up all that runs on the shared ones.
        let reader = AsyncStream<[UInt8]>.makeStream()
        Thread.detachNewThread {
            reader.continuation.yield(readAll(master))
            reader.continuation.finish()
        }
        try master.writeAll(input.utf8)
        var changes: [Environment.Key: String?] = ["mlog": Mlog.path.string, "TERM": "xterm", "NO_COLOR": nil]
        for (name, value) in environment { changes[Environment.Key(stringLiteral: name)] = value }
        let result = try await Subprocess.run(
            .path("/bin/bash"),
            arguments: ["-c", line],
            environment: .inherit.updating(changes),
            output: .fileDescriptor(terminal, closeAfterSpawningProcess: false),
            error: .fileDescriptor(terminal, closeAfterSpawningProcess: false)
        )
        // With the last descriptor of the terminal closed, the reader comes to its end.
        try terminal.close()
        var text: [UInt8] = []
        for await read in reader.stream { text = read }
        return Outcome(status: Mlog.status(result.terminationStatus), output: text, errors: "")
    }

    /// Reads until the other side is closed, which is an error on a terminal.
    private static func readAll(_ master: FileDescriptor) -> [UInt8] {
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while let count = try? unsafe piece.withUnsafeMutableBytes({ try unsafe master.read(into: $0) }), count > 0 {
            text += piece[..<count]
        }
        return text
    }
}
