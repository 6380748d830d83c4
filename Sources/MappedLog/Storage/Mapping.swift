internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A `MAP_SHARED` mapping of a file's first bytes, or a private one of no file; unmapped when the last reference goes.
///
/// A forked child doesn't have it (`MADV_DONTFORK`): it would be a second writer that no lock knows.
@safe final class Mapping: Sendable {
    nonisolated(unsafe) let start: UnsafeMutableRawPointer
    let byteCount: Int
    /// System V shared memory, which is mapped where it is attached, and by that.
    private let attached: AttachedSegment?

    /// - Throws: `truncatedSegment` when the file is shorter than `byteCount`: a load behind its end would be SIGBUS.
    init(_ file: OpenFile, byteCount: UInt64, writable: Bool) throws(LogError) {
        let size = try file.currentByteCount()
        guard size >= byteCount else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                expected: "\(byteCount) bytes",
                found: "\(size) bytes",
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        if let memory = file.memory {
            guard memory.segment.isWritable || !writable else {
                throw .system(.permissionDenied, "shmat(2)", file: file.path)
            }
            attached = memory.segment
            unsafe start = memory.start
            self.byteCount = Int(byteCount)
            return
        }
        attached = nil
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let mapped = unsafe mmap(nil, Int(byteCount), protection, MAP_SHARED, file.descriptor, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            throw .system(SystemCall.lastError, "mmap(2)", file: file.path)
        }
        unsafe madvise(mapped, Int(byteCount), MADV_DONTFORK)
        unsafe start = mapped
        self.byteCount = Int(byteCount)
    }

    /// Address space of this process alone: pages take memory when they are stored to, and read as 0 before.
    init(reserving byteCount: UInt64, for path: FilePath) throws(LogError) {
        attached = nil
        guard let mapped = unsafe mlog_reserve(Int(byteCount)) else {
            throw .system(SystemCall.lastError, "mmap(2)", file: path)
        }
        unsafe start = mapped
        self.byteCount = Int(byteCount)
    }

    deinit {
        // In a forked child this address range may belong to something else by now.
        if attached == nil, !ForkGuard.isForkedChild { unsafe munmap(start, byteCount) }
    }

    /// Makes pages dirty, so that the next flush writes them, without changing a byte (`MADV_POPULATE_WRITE`).
    func makeDirty(from offset: Int, byteCount count: Int) throws(LogError) {
        let status = populate(from: offset, byteCount: count)
        if status != 0 { throw .system(SystemCall.lastError, "madvise(2), MADV_POPULATE_WRITE", file: nil) }
    }

    /// Populates pages for writing, so that stores there don't fault.
    ///
    /// A hint: failure costs time only.
    func populateForWriting(from offset: Int, byteCount count: Int) {
        _ = populate(from: offset, byteCount: count)
    }

    /// Chooses how the page cache is to hold what is stored here; a hint.
    ///
    /// With huge pages it takes a third of the time to populate, and a flush writes far more than what was stored; so
    /// where a policy is to flush, pages are to be as small as they can be.
    func preferHugePages(_ huge: Bool) {
        unsafe madvise(start, byteCount, huge ? MADV_HUGEPAGE : MADV_RANDOM)
    }

    /// Of memory that is no file's: moves pages, with what is in them, to another place.
    ///
    /// The place they leave counts as a mapping of its own, of which a process may have only so many, until it is
    /// reserved again.
    ///
    /// - Returns: False, and nothing has moved, where the system can't.
    func movePages(from old: Int, to new: Int, byteCount count: Int) -> Bool {
        unsafe mlog_move_pages(start + old, start + new, count) == 0
    }

    /// Of memory that is no file's: makes a range anew, without pages.
    func reserveAgain(from offset: Int, byteCount count: Int) {
        _ = unsafe mlog_reserve_again(start + offset, count)
    }

    /// Takes pages out of this process's memory; the file, and what was stored, stays as it is.
    func letGo(from offset: Int, byteCount count: Int) {
        unsafe madvise(start + offset, count, MADV_DONTNEED)
    }

    private func populate(from offset: Int, byteCount count: Int) -> CInt {
        let populateWrite: CInt = 23  // MADV_POPULATE_WRITE, which glibc 2.36 doesn't name
        let page = Int(getpagesize())
        let from = offset / page * page
        let end = min((offset + count + page - 1) / page * page, byteCount)
        return end > from ? unsafe madvise(start + from, end - from, populateWrite) : 0
    }
}
