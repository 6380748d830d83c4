internal import _CMappedLog

/// How long who follows a flush waits for it.
///
/// A flush has no bound: as long as its process runs, or the disk holds it, that is the disk's time. Only of a process that
/// is stopped, or held by a debugger, nothing more is to be expected.
struct FlushPatience {
    private let stallTimeout: Duration
    private var seen: (owner: CInt, durable: UInt64)?
    private var since = ContinuousClock.now
    /// For a stopped process that can't be seen, as where `/proc` is hidden.
    private static let longest = Duration.seconds(600)

    init(_ stallTimeout: Duration) {
        self.stallTimeout = stallTimeout
    }

    /// - Throws: `flushStalled`.
    mutating func check(owner: CInt, durable: UInt64) throws(LogError) {
        let now = ContinuousClock.now
        guard let seen, seen == (owner, durable) else {
            seen = (owner, durable)
            since = now
            return
        }
        let waited = now - since
        if waited < stallTimeout { return }
        if waited >= max(stallTimeout, Self.longest) || owner != 0 && mlog_thread_is_stopped(owner) != 0 {
            throw LogError(
                .flushStalled,
                expected: "the end of a flush by thread \(owner)",
                found: "none within \(waited)",
                advice: "what was appended is there, not yet durable: continue or kill that process, then sync"
            )
        }
    }
}
