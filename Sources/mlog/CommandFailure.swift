import SystemPackage

/// What the command itself, not the log, has to complain about.
struct CommandFailure: Error, CustomStringConvertible {
    /// What went wrong, where, and what to do about it, in one line.
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A system call on a stream said no.
    init(_ errno: Errno, on stream: String) {
        description = "\(stream): \(errno)"
    }
}
