import Foundation
import Subprocess
import SystemPackage
import Testing

/// The command while it runs: what it has said so far can be looked at, and it can be told things.
struct RunningMlog {
    private let execution: Execution<CustomWriteInput, FileDescriptorOutput, FileDescriptorOutput>
    private let outputFile: String

    /// Runs the command beside `body`, and waits for its end afterwards.
    static func run(
        _ arguments: String...,
        in directory: String,
        body: (RunningMlog) async throws -> Void
    ) async throws -> Outcome {
        let name = UUID().uuidString
        let files = ["\(directory)/\(name).out", "\(directory)/\(name).err"]
        let descriptors = try files.map {
            try FileDescriptor.open(
                FilePath($0),
                .writeOnly,
                options: [.create, .append],
                permissions: .ownerReadWrite
            )
        }
        let result = try await Subprocess.run(
            .path(Mlog.path),
            arguments: Arguments(arguments),
            input: .inputWriter,
            output: .fileDescriptor(descriptors[0], closeAfterSpawningProcess: true),
            error: .fileDescriptor(descriptors[1], closeAfterSpawningProcess: true)
        ) { execution in
            do {
                try await body(RunningMlog(execution: execution, outputFile: files[0]))
            } catch {
                // The test has failed already; it must not wait for the command on top of that, but say what this said.
                let errors = String(decoding: try contents(files[1]), as: UTF8.self)
                Issue.record("Standard error was: \(errors)")
                try execution.send(signal: .kill)
                throw error
            }
        }
        return Outcome(
            status: Mlog.status(result.terminationStatus),
            output: [UInt8](try contents(files[0])),
            errors: String(decoding: try contents(files[1]), as: UTF8.self)
        )
    }

    /// Everything it has written so far.
    var output: String {
        get throws { String(decoding: try Self.contents(outputFile), as: UTF8.self) }
    }

    /// Presses Ctrl-C.
    func interrupt() throws {
        try execution.send(signal: .interrupt)
    }

    func terminate() throws {
        try execution.send(signal: .terminate)
    }

    func kill() throws {
        try execution.send(signal: .kill)
    }

    func write(_ text: String) async throws {
        _ = try await execution.standardInputWriter.write(text)
    }

    func finishInput() async throws {
        try await execution.standardInputWriter.finish()
    }

    private static func contents(_ file: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: file))
    }
}

/// Waits until something is so, and fails the test if it isn't so within half a minute.
func eventually(
    _ comment: Comment,
    at location: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        try #require(ContinuousClock.now < deadline, comment, sourceLocation: location)
        try await Task.sleep(for: .milliseconds(10))
    }
}
