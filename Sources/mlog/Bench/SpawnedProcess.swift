import Glibc
import SystemPackage

/// A process at the other end of a benchmark; killed with the last reference, unless it has ended.
///
/// To be used by one thread.
final class SpawnedProcess {
    private let id: pid_t
    private let name: String
    private var input: FileDescriptor?
    private let output: FileDescriptor
    private var unread: [UInt8] = []
    private var hasEnded = false

    /// Starts a program that is found on the PATH, with pipes as its standard input and output.
    ///
    /// `name` is what it is called where it fails.
    init(_ arguments: [String], called name: String) throws {
        self.name = name
        let down = try FileDescriptor.pipe()
        let up = try FileDescriptor.pipe()
        // The next program must not hold this one's ends open.
        for end in [down.readEnd, down.writeEnd, up.readEnd, up.writeEnd] {
            guard fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
        }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, down.readEnd.rawValue, STDIN_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, up.writeEnd.rawValue, STDOUT_FILENO)
        let pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var id: pid_t = 0
        let status = unsafe posix_spawnp(&id, arguments[0], &actions, nil, pointers, environ)
        try down.readEnd.close()
        try up.writeEnd.close()
        guard status == 0 else {
            try down.writeEnd.close()
            try up.readEnd.close()
            throw CommandFailure("\(name): \(Errno(rawValue: status))")
        }
        self.id = id
        input = down.writeEnd
        output = up.readEnd
    }

    deinit {
        if !hasEnded {
            kill(id, SIGKILL)
            _ = reap()
        }
        try? input?.close()
        try? output.close()
    }

    func write(_ text: String) throws {
        try input?.writeAll(text.utf8)
    }

    /// The next line that it prints.
    func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeSubrange(...end)
                return line
            }
            let bytes = try read()
            if bytes.isEmpty {
                // A terminal's Ctrl-C reaches it too.
                try Bench.checkInterruption()
                throw CommandFailure("\(name): ended early")
            }
            unread += bytes
        }
    }

    /// Ends its input, and waits for its end, which must be a good one.
    func end() throws {
        try input?.close()
        input = nil
        while try !read().isEmpty {}
        let status = reap()
        hasEnded = true
        if status != 0 { try Bench.checkInterruption() }
        guard status == 0 else { throw CommandFailure("\(name): ended with wait status \(status)") }
    }

    /// What it has printed; nothing: it has closed its output.
    ///
    /// Who wants it to end may have said so just before it waits here.
    private func read() throws -> [UInt8] {
        var readable = pollfd(fd: output.rawValue, events: Int16(POLLIN), revents: 0)
        repeat { try Bench.checkInterruption() } while unsafe poll(&readable, 1, 200) <= 0
        return unsafe try [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            count = try unsafe output.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private func reap() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status
    }
}
