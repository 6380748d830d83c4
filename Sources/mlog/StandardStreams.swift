import Glibc
import SystemPackage

/// The three descriptors that whoever starts a command should have opened for it.
enum StandardStreams {
    /// Takes the numbers of those that are closed.
    ///
    /// A file of the log would get such a number otherwise, and an error message would be written into it. Reading
    /// and writing what is opened here instead fails, as it would on what is closed.
    static func occupy() {
        for stream in [FileDescriptor.standardInput, .standardOutput, .standardError]
        where fcntl(stream.rawValue, F_GETFD) == -1 {
            let mode: FileDescriptor.AccessMode = stream == .standardInput ? .writeOnly : .readOnly
            // The lowest free number is this one. Left open for as long as the command runs.
            _ = try? FileDescriptor.open(FilePath("/dev/null"), mode)
        }
    }
}
