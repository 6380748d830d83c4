import Glibc
import Synchronization

/// The wish of a user, by Ctrl-C, or of the system that the command come to an end.
enum Interruption {
    private static let caught = Atomic<Int32>(0)

    /// The signal that came since `watch`, if one did.
    static var signal: Int32? {
        let number = caught.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Catches the signals that end a command from now on: it ends at its next convenience instead.
    ///
    /// The second one of a kind ends it at once. A signal that whoever started the command has it ignore, as `nohup`
    /// does, stays ignored.
    static func watch() {
        // Makes the flag before a handler may need it, since what makes it isn't safe to run in a handler.
        _ = signal
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var present = sigaction()
            _ = unsafe sigaction(number, nil, &present)
            let ignored = unsafe unsafeBitCast(SIG_IGN, to: Int.self)
            if unsafe unsafeBitCast(present.__sigaction_handler.sa_handler, to: Int.self) == ignored { continue }
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = { Interruption.caught.store($0, ordering: .relaxed) }
            // Without SA_RESTART, so that a read or write that waits returns.
            action.sa_flags = Int32(bitPattern: SA_RESETHAND)
            _ = unsafe sigaction(number, &action, nil)
        }
    }
}
