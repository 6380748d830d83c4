internal import _CMappedLog

/// Tells a forked child from the process that opened the log (`MADV_WIPEONFORK`, madvise(2)).
///
/// A child would share the parent's open file descriptions, and so its locks, but none of its mappings.
@safe struct ForkGuard: Sendable {
    nonisolated(unsafe) let word: UnsafePointer<UInt32>

    init() throws(LogError) {
        guard let word = unsafe mlog_fork_guard() else {
            throw LogError(.io, found: "no page for the fork guard", advice: "free memory and try again")
        }
        unsafe self.word = UnsafePointer(word)
    }

    /// - Throws: `forked` in a forked child.
    @inline(__always)
    func check() throws(LogError) {
        if unsafe word.pointee == 0 { throw Self.forkedError }
    }

    static var isForkedChild: Bool {
        guard let word = unsafe mlog_fork_guard() else { return false }
        return unsafe word.pointee == 0
    }

    /// Before a log is opened, made, looked at or changed: a lock that the library took would be the parent's affair, and
    /// what other threads of the parent were at is half done here.
    ///
    /// - Throws: `forked` in a child of a process that had used the library when it forked.
    static func refuseForkedChild() throws(LogError) {
        if isForkedChild { throw forkedError }
    }

    @inline(never)
    private static var forkedError: LogError {
        LogError(.forked, advice: "use logs in a child only after exec")
    }
}
