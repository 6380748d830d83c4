internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The data segments of a log in System V shared memory, as its table lists them.
///
/// Who changes it holds the table's lock; who only looks believes an entry once it is still the same behind the attach.
@safe struct SegmentList {
    private let table: SystemVTable
    private let segment: AttachedSegment

    init(_ table: SystemVTable, _ segment: AttachedSegment) {
        self.table = table
        self.segment = segment
    }

    /// One place in the list.
    @safe struct Entry {
        fileprivate nonisolated(unsafe) let pointer: UnsafeMutablePointer<mlog_table_segment>

        fileprivate var state: SharedWord<UInt32> { unsafe SharedWord(UnsafeMutableRawPointer(pointer)) }
        fileprivate var baseWord: SharedWord<UInt64> {
            unsafe SharedWord(
                UnsafeMutableRawPointer(pointer) + MemoryLayout<mlog_table_segment>.offset(of: \.base)!
            )
        }
        var id: CInt { unsafe pointer.pointee.id }
        var key: Int32 { unsafe pointer.pointee.key }
        var base: UInt64 { baseWord.load() }
        var isPublished: Bool { isIn(.published) }
        var isFree: Bool { isIn(.free) }

        fileprivate func isIn(_ expected: State) -> Bool { state.load() == expected.rawValue }
        fileprivate func enter(_ new: State) { state.store(new.rawValue) }
    }

    /// `MLOG_ENTRY_…` of the C header.
    fileprivate enum State {
        case free, reserved, published, spare

        var rawValue: UInt32 {
            switch self {
            case .free: UInt32(MLOG_ENTRY_FREE)
            case .reserved: UInt32(MLOG_ENTRY_RESERVED)
            case .published: UInt32(MLOG_ENTRY_PUBLISHED)
            case .spare: UInt32(MLOG_ENTRY_SPARE)
            }
        }
    }

    private var entries: [Entry] {
        let first = unsafe (segment.start + Int(MLOG_TABLE_SEGMENTS_OFFSET))
            .assumingMemoryBound(to: mlog_table_segment.self)
        return (0..<Int(MLOG_TABLE_SEGMENTS)).map { unsafe Entry(pointer: first + $0) }
    }

    // MARK: Looking

    /// The base positions of the segments that are published, first to last.
    var bases: [UInt64] {
        Set(entries.compactMap { $0.isPublished ? $0.base : nil }).sorted()
    }

    /// How many bytes all segments take, those that are being made among them.
    func bytes(of segmentSize: UInt64) -> UInt64 { UInt64(entries.count { !$0.isFree }) * segmentSize }

    /// Attaches a published segment; nil: there is none of that base.
    func attach(_ base: UInt64, writable: Bool) throws(LogError) -> AttachedSegment? {
        for _ in 0..<1000 {
            guard let entry = entries.first(where: { $0.base == base && $0.isPublished }) else { return nil }
            let id = entry.id
            do throws(Errno) {
                let attached = try AttachedSegment(id, isWritable: writable)
                // Attached first, looked at again then: who drops it does both in the other order.
                if entry.isPublished, entry.base == base, entry.id == id {
                    try check(id, attached)
                    return attached
                }
            } catch  where SystemV.isGone(error) {
                if !entry.isPublished || entry.id != id { continue }
                throw table.gone(error, "shmat(2)")
            } catch {
                throw .system(error, "shmat(2)", file: table.path)
            }
        }
        return nil
    }

    /// The id came from memory that processes share: what it leads to has to be the log's.
    private func check(_ id: CInt, _ attached: AttachedSegment) throws(Errno) {
        let (own, found) = (try SystemV.status(table.id), try SystemV.status(id))
        guard found.owner == own.owner, UInt64(attached.byteCount) == table.header.segment_bytes else {
            throw .invalidArgument
        }
    }

    // MARK: Changing; only under the table's lock

    /// Makes a segment that nobody finds yet, of zeros; a spare one where there is one.
    ///
    /// - Throws: `systemLimit`, `diskFull`; `diskFull` also where the list is full; `moved` where the log was removed by
    ///   force meanwhile.
    func make(byteCount: UInt64) throws(LogError) -> (Entry, AttachedSegment) {
        let made = try makeListed(byteCount: byteCount)
        // Whoever removes the table looks at the list afterwards: one of the two sees the other.
        mlog_full_fence()
        if table.isCurrent { return made }
        _ = mlog_shm_remove(made.1.id)
        throw table.gone(.identifierRemoved, "shmctl(2)")
    }

    private func makeListed(byteCount: UInt64) throws(LogError) -> (Entry, AttachedSegment) {
        if let entry = entries.first(where: { $0.isIn(.spare) }) {
            entry.enter(.reserved)
            if let attached = try? AttachedSegment(entry.id, isWritable: true), UInt64(attached.byteCount) == byteCount
            {
                // Its pages are there already, which is what makes it cheaper than a new one.
                unsafe memset(attached.start, 0, attached.byteCount)
                return (entry, attached)
            }
            removeReserved()
        }
        guard let entry = entries.first(where: { $0.isFree }) else {
            throw LogError(
                .diskFull,
                file: table.path,
                expected: "at most \(MLOG_TABLE_SEGMENTS) segments",
                found: "as many",
                advice: "choose a smaller bound or larger segments"
            )
        }
        while true {
            // Recorded before it is made: whoever follows a death here can find it.
            unsafe entry.pointer.pointee.key = SystemV.randomKey()
            unsafe entry.pointer.pointee.id = -1
            entry.enter(.reserved)
            do throws(Errno) {
                let id = try SystemV.check(mlog_shm_make(entry.key, byteCount, 0o600))
                unsafe entry.pointer.pointee.id = id
                let attached = try AttachedSegment(id, isWritable: true)
                try Self.populate(attached)
                return (entry, attached)
            } catch .fileExists {
                // Somebody else's: it stays, and the entry forgets it.
                entry.enter(.free)
            } catch {
                removeReserved()
                throw SystemV.failure(error, "shmget(2)", file: table.path, byteCount: byteCount)
            }
        }
    }

    /// Takes memory for each page now: later there may be none, and whoever stores there would be killed.
    private static func populate(_ segment: AttachedSegment) throws(Errno) {
        // MADV_POPULATE_WRITE, which glibc 2.36 doesn't name.
        let status = unsafe madvise(segment.start, segment.byteCount, 23)
        if status == 0 { return }
        let error = SystemCall.lastError
        guard error == .invalidArgument else { throw error == .badAddress ? .noMemory : error }
        // Before Linux 5.14: by hand.
        unsafe memset(segment.start, 0, segment.byteCount)
    }

    /// Gives a segment that is complete its base; from now on it is found.
    func publish(_ entry: Entry, _ base: UInt64) {
        entry.baseWord.store(base)
        entry.enter(.published)
    }

    /// Takes a segment out of the list.
    ///
    /// One that nobody has attached becomes the spare one, if there is none yet; else its memory goes with the last who
    /// has.
    func remove(_ base: UInt64, except kept: Entry? = nil) {
        for entry in entries where entry.isPublished && entry.base == base {
            if let kept, unsafe kept.pointer == entry.pointer { continue }
            entry.enter(.reserved)
            // Out of the list first, counted then: who attaches it now looks at the list again, and lets go.
            mlog_full_fence()
            let isAlone = (try? SystemV.status(entry.id))?.attached == 0
            if isAlone, !entries.contains(where: { $0.isIn(.spare) }) {
                entry.enter(.spare)
            } else {
                discard(entry)
            }
        }
    }

    /// Removes what a process was making, or taking away, that died.
    func removeReserved() {
        for entry in entries where entry.isIn(.reserved) { discard(entry) }
    }

    /// Removes all segments, whatever state they are in.
    func removeAll() {
        for entry in entries where !entry.isFree { discard(entry) }
    }

    private func discard(_ entry: Entry) {
        entry.enter(.reserved)
        // By the key that was recorded before it was made, which knows no id yet. Another's segment may have it by now.
        let id = entry.id >= 0 ? entry.id : (try? SystemV.find(entry.key)).flatMap { $0 } ?? -1
        if id >= 0, let status = try? SystemV.status(id), status.bytes == table.header.segment_bytes,
            status.owner == (try? SystemV.status(table.id))?.owner
        {
            _ = mlog_shm_remove(id)
        }
        entry.enter(.free)
    }
}
