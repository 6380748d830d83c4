import Foundation
import Subprocess
import SystemPackage
import Testing

/// The built command, run as a user would.
enum Mlog {
    /// It lies beside the tests that are running.
    static let path: FilePath = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return FilePath(tests).removingLastComponent().appending("mlog")
    }()

    /// Runs the command to its end.
    static func run(_ arguments: String..., input: [UInt8] = []) async throws -> Outcome {
        try await run(arguments, input: input)
    }

    /// Runs the command with lines as its input, and expects it to do what it was told without a word.
    static func append(_ lines: some Sequence<String>, to log: String, _ options: String...) async throws {
        let input = lines.map { $0 + "\n" }.joined()
        let outcome = try await run(["append", log] + options, input: [UInt8](input.utf8))
        #expect(outcome.status == 0)
        #expect(outcome.text == "")
        #expect(outcome.errors == "")
    }

    private static func run(_ arguments: [String], input: [UInt8]) async throws -> Outcome {
        let result = try await Subprocess.run(
            .path(path),
            arguments: Arguments(arguments),
            input: .fileDescriptor(try file(of: input), closeAfterSpawningProcess: true),
            output: .bytes(limit: 256 << 20),
            error: .string(limit: 1 << 20)
        )
        return Outcome(
            status: status(result.terminationStatus),
            output: result.standardOutput,
            errors: result.standardError
        )
    }

    /// A file without a name: a pipe would end the tests with SIGPIPE when a command doesn't read it to its end.
    private static func file(of bytes: [UInt8]) throws -> FileDescriptor {
        let path = FilePath(FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path)
        let options: FileDescriptor.OpenOptions = [.create, .exclusiveCreate]
        let file = try FileDescriptor.open(path, .readWrite, options: options, permissions: .ownerReadWrite)
        try FileManager.default.removeItem(atPath: path.string)
        try file.writeAll(bytes)
        try file.seek(offset: 0, from: .start)
        return file
    }

    /// Runs a line of bash in which `$mlog` is the command.
    static func shell(_ line: String) async throws -> Outcome {
        let result = try await Subprocess.run(
            .path("/bin/bash"),
            arguments: ["-c", line],
            environment: .inherit.updating(["mlog": path.string]),
            output: .bytes(limit: 256 << 20),
            error: .string(limit: 1 << 20)
        )
        return Outcome(
            status: status(result.terminationStatus),
            output: result.standardOutput,
            errors: result.standardError
        )
    }

    static func status(_ status: TerminationStatus) -> Int32 {
        switch status {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }
}
