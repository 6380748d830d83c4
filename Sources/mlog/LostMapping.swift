import Glibc

/// A file of the log that is mapped and can no longer be read there: somebody truncated it, or the disk failed.
enum LostMapping {
    /// From now on, ends the command with one line on standard error where the system would kill it with SIGBUS.
    static func watch() {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in
            // Only what signal-safety(7) allows. A static string is there without being made.
            let message: StaticString =
                "mlog: a file of the log was truncated or can't be read while it was mapped; run 'mlog verify LOG'\n"
            _ = unsafe write(STDERR_FILENO, message.utf8Start, message.utf8CodeUnitCount)
            _exit(1)
        }
        action.sa_flags = Int32(bitPattern: SA_RESETHAND)
        _ = unsafe sigaction(SIGBUS, &action, nil)
    }
}
