import Glibc
public import SystemPackage
public import _CTestSupport

/// A child process that is killed at an exact point between two marks (`test_mark()`), or has an exact system call fail.
///
/// To be used by one thread at a time. The process never outlives its last reference.
@safe public final class TracedProcess {
    /// The process could not be brought to its first mark.
    public struct NotStarted: Error, CustomStringConvertible {
        /// What it was, and what happened.
        public let description: String
    }

    /// Why processes can't be traced here, or nil.
    public static let obstacle: String? = {
        if let obstacle = Sanitizer.tracingObstacle { return obstacle }
        let status = test_victim_is_possible()
        return status == 0
            ? nil : "processes can't be traced here: \(Errno(rawValue: -status)) (needs ptrace(2), x86-64)"
    }()

    private nonisolated(unsafe) var victim: OpaquePointer?
    private let output: FileDescriptor
    private let name: String

    /// The process's id.
    public var id: Int32 { unsafe victim.map { unsafe test_victim_id($0) } ?? -1 }

    /// Starts a program, and returns when it has marked for the first time.
    ///
    /// - Parameters:
    ///   - arguments: The path of the program, and its arguments.
    ///   - directory: Files below it that the process maps are looked at from then on.
    ///   - seconds: How long that may take.
    /// - Throws: ``NotStarted``.
    public init(_ arguments: [String], watching directory: FilePath, within seconds: Double = 60) throws {
        name = arguments.joined(separator: " ")
        var ends: [CInt] = [0, 0]
        guard unsafe test_pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
        output = FileDescriptor(rawValue: ends[0])
        let pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var victim: OpaquePointer?
        let status = unsafe test_victim_start(&victim, pointers, ends[1], directory.string, seconds)
        close(ends[1])
        guard status == 0, let victim = unsafe victim else {
            defer { close(ends[0]) }
            throw NotStarted(description: "\(name): \(Errno(rawValue: -status)); it said \(Self.rest(of: output))")
        }
        unsafe self.victim = victim
    }

    deinit {
        end()
        try? output.close()
    }

    /// Kills it if it lives; its locks are gone when this returns.
    public func end() {
        if let victim = unsafe victim { unsafe test_victim_free(victim) }
        unsafe victim = nil
    }

    /// Lets it go on, up to the point that the order names, its next mark, or its end.
    public func run(_ mode: test_victim_mode, count: UInt64, within seconds: Double = 60) -> test_victim_outcome {
        unsafe test_victim_run(
            victim!,
            test_victim_order(mode: mode, count: count, fault: TEST_FAULT_IO, seconds: seconds)
        )
    }

    /// Lets it go on to its end; of the calls that may fail in this way, the one behind `count` others does.
    public func run(failing fault: test_victim_fault, behind count: UInt64, within seconds: Double = 60)
        -> test_victim_outcome
    {
        unsafe test_victim_run(
            victim!,
            test_victim_order(mode: TEST_VICTIM_FAULTS, count: count, fault: fault, seconds: seconds)
        )
    }

    /// What it printed, once it has ended; at most what a pipe holds.
    public var printed: String { Self.rest(of: output) }

    private static func rest(of output: FileDescriptor) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while test_wait_readable(output.rawValue, 0) != 0 {
            let count = unsafe (try? buffer.withUnsafeMutableBytes { unsafe try output.read(into: $0) }) ?? 0
            if count == 0 { break }
            all += buffer[..<count]
        }
        return String(decoding: all, as: UTF8.self)
    }
}

extension test_victim_outcome {
    /// What happened last, in words.
    public var lastPoint: String {
        last_call >= 0 ? "system call \(last_call)" : "a store"
    }

    /// The signal that ended the process, or 0.
    public var signal: Int32 { status & 0x7F }
    /// Its exit status, where it ended by itself.
    public var exitStatus: Int32 { status >> 8 & 0xFF }
}
