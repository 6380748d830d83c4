/// A signal ended the command before everything was done.
struct Interrupted: Error {
    let signal: Int32
    /// What was done and what wasn't; nothing if that goes without saying.
    var report: String?
}
