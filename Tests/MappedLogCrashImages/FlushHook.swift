import _CDiskCalls

/// Calls `hook` when this process's next flush is about to begin, on its thread, and once; `body` is what flushes.
///
/// As a ``DiskRecorder``, one at a time.
func atNextFlush<Result>(_ hook: () -> Void, during body: () throws -> Result) rethrows -> Result {
    try withoutActuallyEscaping(hook) { hook in
        var pending: (() -> Void)? = hook
        return try unsafe withUnsafeMutablePointer(to: &pending) { pending in
            unsafe disk_observe(
                { context, call in
                    guard unsafe call!.pointee.kind == DISK_CALL_WILL_FLUSH else { return }
                    let pending = unsafe context!.assumingMemoryBound(to: Optional<() -> Void>.self)
                    unsafe pending.pointee.take()?()
                },
                pending
            )
            defer { disk_observe(nil, nil) }
            return try body()
        }
    }
}
