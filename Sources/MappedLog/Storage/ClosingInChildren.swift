internal import _CMappedLog

/// A descriptor that forked children close (`pthread_atfork(3)`): an inherited one would keep a dead parent's locks.
struct ClosingInChildren: Sendable {
    private let descriptor: CInt

    /// - Throws: `io` where there are too many.
    init(_ file: OpenFile) throws(LogError) {
        descriptor = file.descriptor
        guard mlog_close_in_children(descriptor) == 0 else {
            throw LogError(
                .io,
                file: file.path,
                expected: "at most 1024 logs open for writing, and named tailers, in one process",
                found: "one more",
                advice: "close some"
            )
        }
    }

    /// Before the descriptor is closed.
    func forget() { mlog_forget_close_in_children(descriptor) }
}
