import Foundation
import Glibc
import SystemPackage
import _CTestSupport

/// A child process that never outlives its test: it is killed with the last reference, or with the test's process.
///
/// To be used by one thread at a time.
public final class ChildProcess {
    /// How a process ended.
    public enum Exit: Equatable, Sendable {
        case exited(Int32)
        case killed(Int32)
    }

    /// A wait for a child took longer than the test allows.
    public struct Late: Error, CustomStringConvertible {
        /// What was waited for.
        public let description: String
    }

    /// The process's id.
    public let id: Int32
    private let name: String
    private let output: FileDescriptor
    private let handle: FileDescriptor
    private var unread: [UInt8] = []
    private var exit: Exit?

    /// Starts a program.
    ///
    /// - Parameter arguments: The path of the program, and its arguments.
    /// - Throws: `Errno`, where it can't be started.
    public init(_ arguments: [String]) throws {
        name = arguments.joined(separator: " ")
        var ends: [CInt] = [0, 0]
        guard unsafe test_pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
        output = FileDescriptor(rawValue: ends[0])
        let pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        id = unsafe test_spawn(arguments[0], pointers, ends[1])
        close(ends[1])
        guard id > 0 else {
            close(ends[0])
            throw Errno(rawValue: -id)
        }
        handle = FileDescriptor(rawValue: test_pidfd(id))
    }

    deinit {
        if exit == nil {
            Glibc.kill(id, SIGKILL)
            _ = test_reap(id)
        }
        try? handle.close()
        try? output.close()
    }

    /// Sends a signal.
    public func send(_ signal: Int32) {
        if exit == nil { Glibc.kill(id, signal) }
    }

    /// Kills the process and waits for its end.
    @discardableResult
    public func kill() -> Exit {
        send(SIGKILL)
        return reap()
    }

    /// Whether the process has ended.
    public var hasEnded: Bool { exit != nil || test_wait_readable(handle.rawValue, 0) != 0 }

    /// The state of the process's first thread, as in proc(5): `S` asleep, `T` stopped, `R` running.
    public var state: Character { Self.state(of: "/proc/\(id)/stat") }

    /// The states of all its threads.
    public var threadStates: [Character] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")) ?? []
        return tasks.map { Self.state(of: "/proc/\(id)/task/\($0)/stat") }
    }

    private static func state(of path: String) -> Character {
        guard let text = try? String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8),
            let name = text.lastIndex(of: ")")
        else { return "?" }
        return text[name...].dropFirst(2).first ?? "?"
    }

    /// Waits for the process's end.
    ///
    /// - Throws: ``Late``, after it has killed the process.
    @discardableResult
    public func wait(upTo seconds: Double) throws -> Exit {
        if exit == nil, test_wait_readable(handle.rawValue, Int64(seconds * 1000)) == 0 {
            kill()
            throw Late(description: "no end of \(name) within \(seconds) s")
        }
        return reap()
    }

    private func reap() -> Exit {
        if let exit { return exit }
        let status = test_reap(id)
        let signal = status & 0x7F
        let ended: Exit = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal)
        exit = ended
        return ended
    }

    /// What the process printed last, as far as it wasn't read.
    public var lastLine: String {
        var last = "nothing"
        while let next = try? line(within: 0.2) { last = next }
        return last
    }

    /// The next line the process prints; nil: it has closed its output.
    ///
    /// - Throws: ``Late``.
    public func line(within seconds: Double) throws -> String? {
        let deadline = test_now_ns() + UInt64(seconds * 1e9)
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeSubrange(...end)
                return line
            }
            let now = test_now_ns()
            guard now < deadline, test_wait_readable(output.rawValue, Int64((deadline - now) / 1_000_000)) != 0 else {
                throw Late(description: "no line from \(name) within \(seconds) s")
            }
            let bytes = unsafe try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = try unsafe output.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            if bytes.isEmpty { return nil }
            unread += bytes
        }
    }
}
