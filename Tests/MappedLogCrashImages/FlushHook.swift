import Glibc
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

/// The names of what this thread flushes meanwhile, each when its flush is about to begin.
///
/// As a ``DiskRecorder``, one at a time.
func flushes(of body: () throws -> Void) rethrows -> [String] {
    struct Record {
        let thread = pthread_self()
        var names: [String] = []
    }
    var record = Record()
    try unsafe withUnsafeMutablePointer(to: &record) { record in
        unsafe disk_observe(
            { context, call in
                guard unsafe call!.pointee.kind == DISK_CALL_WILL_FLUSH else { return }
                let record = unsafe context!.assumingMemoryBound(to: Record.self)
                guard unsafe pthread_equal(record.pointee.thread, pthread_self()) != 0 else { return }
                let path = unsafe linkTarget("/proc/self/fd/\(call!.pointee.descriptor)") ?? ""
                unsafe record.pointee.names.append(path.split(separator: "/").last.map(String.init) ?? path)
            },
            record
        )
        defer { disk_observe(nil, nil) }
        try body()
    }
    return record.names
}
