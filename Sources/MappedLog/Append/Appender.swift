internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Appends under the one lock that all writers of all processes share (`spec/protocol.md`, "Append").
///
/// Safe from any thread. A single record goes through ``PlainAppender`` first; all that it leaves, batches and the rest
/// are here. What an append touches is reached through plain pointers: a stored property of a class would cost an
/// exclusivity check on each access.
@safe final class Appender: Sendable {
    private let block: ControlBlock
    let control: ControlWords
    let segments: WritableSegments
    let mutex: RobustMutex
    let geometry: SegmentGeometry
    /// As clock_gettime(2) knows it.
    var clock: CInt { unsafe local.pointee.clock }
    private let forkGuard: ForkGuard
    let waiters: Waiters
    private let populator: BackgroundThread
    private let housekeeper: BackgroundThread
    /// What every append of this process looks at.
    nonisolated(unsafe) let local: UnsafeMutablePointer<Local>
    /// The active segment itself; only under the append lock.
    nonisolated(unsafe) let active: UnsafeMutablePointer<Segment?>

    /// How far the populator may fall behind before an append does without it.
    static let bellDistance: UInt64 = 8 << 20

    /// Far from every position, so that the offset of any tail is out of the segment.
    static let noBase = UInt64(1) << 63

    /// What an append needs of its own process.
    @safe struct Local {
        let control: ControlWords
        /// The word that says whether somebody sleeps until something is committed (``Waiters``).
        let committed: SharedWord<UInt32>
        let clock: CInt
        /// Payloads of fewer bytes get their checksum by one chain of instructions.
        let shortestLong: UInt64
        /// An append that makes so many bytes not durable has to flush.
        let flushLimit: UInt64
        /// Whose appender this is, for as long as there is a ``PlainAppender``.
        nonisolated(unsafe) var writer: Unmanaged<Writer>?
        /// Under the append lock: where the active segment is mapped, its position, and its checksum behind the salt.
        nonisolated(unsafe) var start: UnsafeMutableRawPointer
        var base = Appender.noBase
        var seed: UInt32 = 0
        /// Not 0: who enters has more to do than to say so.
        ///
        /// Loaded without a fence: who stores fences all threads.
        var entry: UInt32 = 0
        /// Under the append lock: an append up to this offset of the active segment needs nothing but a lock.
        var limit: UInt64 = 0
        /// Under the append lock: the first append beyond this offset rings the populator.
        var bellOffset: UInt64 = 0
        /// Under the append lock: blocks of the active segment up to here have their index entries.
        var indexedEnd: UInt64 = 0
        /// Under the append lock: where the populator was rung last and hasn't come yet; `.max`: nowhere.
        var unansweredBell = UInt64.max
        /// Under the append lock: whether it has been rung, or the segment was left, since a bell that it hasn't answered.
        var isPopulatorHeldUp = false
        /// Not 0: the housekeeper sleeps until the next append rings.
        ///
        /// Loaded as `entry` is.
        var wantsBell: UInt32 = 0
    }

    /// One turn under the lock: the generation, the slot it selects, and what the next is to be.
    @safe struct Turn {
        nonisolated(unsafe) let thread: UnsafeMutablePointer<mlog_thread_mark>
        var generation: UInt64
        var slot: mlog_append_slot
        /// Of the tail in the active segment.
        var offset: UInt64
        /// Whether the populator is to be rung.
        var isAtBell = false
    }

    init(
        control block: ControlBlock,
        waiters: Waiters,
        segments: WritableSegments,
        populator: BackgroundThread,
        housekeeper: BackgroundThread,
        durability: Durability,
        options: OpenOptions
    ) throws(LogError) {
        self.block = block
        control = block.words
        self.waiters = waiters
        self.segments = segments
        geometry = segments.log.geometry
        mutex = control.appendMutex(timeout: options.stallTimeout)
        forkGuard = try ForkGuard()
        let needsFence = mlog_threads_prepare() != 0
        self.populator = populator
        self.housekeeper = housekeeper
        unsafe active = .allocate(capacity: 1)
        unsafe active.initialize(to: nil)
        unsafe local = .allocate(capacity: 1)
        unsafe local.initialize(
            to: Local(
                control: control,
                committed: waiters.word(.committed),
                clock: options.clock.identifier,
                shortestLong: UInt64(mlog_frame_shortest_long()),
                flushLimit: Self.flushLimit(durability),
                // Never stored to: `base` says that there is none.
                start: UnsafeMutableRawPointer(local)
            )
        )
        if needsFence || !waiters.sleepersFence { unsafe local.entry.relaxedStore(Self.needsFence) }
    }

    private static func flushLimit(_ durability: Durability) -> UInt64 {
        switch durability {
        case .never, .interval: .max
        case .bytes(let count): count
        case .everyAppend: 1
        }
    }

    deinit {
        unsafe active.deinitialize(count: 1)
        unsafe active.deallocate()
        unsafe local.deallocate()
    }

    // MARK: One record

    /// Appends one record, whatever is to be waited for, made or mended first.
    func append(_ payload: UnsafeRawPointer?, _ count: UInt64, _ time: Int64) throws(LogError) -> Appended {
        guard count <= geometry.largestPayload else { throw tooLarge(Int(count)) }
        let size = FrameWord.frameSize(payload: count)
        let thread = try unsafe enter()
        defer { unsafe mlog_thread_leave(thread) }
        let turn = try unsafe begin(room: size, records: 1, thread)
        let slot = turn.slot
        control.fillNextSlot(turn.generation, slot.adding(records: 1, size: size, smallest: time, largest: time))
        let frame = unsafe frame(turn.offset)
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: count))
        unsafe write(payload, frame, word, turn, position: slot.tail, timestamp: time)
        index(turn.offset, slot)
        unsafe commit(word, at: frame)
        // Behind the commit: of a thread that died before it another process's repair would have cleared the entry.
        setIndexed(turn.offset)
        finish(turn)
        return Appended(sequence: slot.sequence, position: slot.tail, end: slot.tail &+ size)
    }

    // MARK: The steps of an append

    /// Marks this thread as inside this log.
    ///
    /// - Throws: `reentrant` inside an in-place append of any log, `forked` in a forked child, `closed`.
    func enter() throws(LogError) -> UnsafeMutablePointer<mlog_thread_mark> {
        try forkGuard.check()
        guard let thread = unsafe mlog_thread() else { throw .noThreadMark }
        if unsafe mlog_thread_log(thread) != nil { throw .reentrant }
        unsafe mlog_thread_enter(thread, local)
        if unsafe local.entry.relaxedLoad() != 0 { try unsafe enterSlowly(thread) }
        return unsafe thread
    }

    /// No more appends.
    static let isClosed: UInt32 = 1
    /// Nobody else can fence for who enters.
    private static let needsFence: UInt32 = 2

    @inline(never)
    private func enterSlowly(_ thread: UnsafeMutablePointer<mlog_thread_mark>) throws(LogError) {
        mlog_full_fence()
        if unsafe local.entry.relaxedLoad() & Self.isClosed == 0 { return }
        unsafe mlog_thread_leave(thread)
        throw .closed
    }

    /// Takes the lock and makes sure that a frame, or a batch, of this size fits at the tail.
    func begin(
        room: UInt64,
        records: UInt64,
        _ thread: UnsafeMutablePointer<mlog_thread_mark>
    ) throws(LogError) -> Turn {
        switch try unsafe lock(thread) {
        case .clean: break
        case .ownerDied: try takeOverFromDeadOwner()
        }
        let turn = unsafe currentTurn(thread)
        return unsafe local.isPlain(turn.offset, room: room) ? turn : try makeRoomOrLetGo(room, records, thread)
    }

    /// Takes the lock, for as long as it takes where those who have it go on.
    private func lock(_ thread: UnsafeMutablePointer<mlog_thread_mark>) throws(LogError) -> RobustMutex.Acquired {
        while true {
            let seen = control.generation.load()
            do throws(LogError) { return try unsafe mutex.lock(thread) } catch
                where error.code == .writerStalled && control.generation.load() != seen
            { continue }
        }
    }

    /// What the slot and this process's active segment say; `offset` is nonsense where the tail is in another segment.
    @inline(__always)
    func currentTurn(_ thread: UnsafeMutablePointer<mlog_thread_mark>) -> Turn {
        let generation = control.generation.load()
        let slot = control.slot(generation)
        return unsafe Turn(
            thread: thread,
            generation: generation,
            slot: slot,
            offset: slot.tail &- local.pointee.base
        )
    }

    /// The slow half of `begin`.
    @inline(never)
    private func makeRoomOrLetGo(
        _ room: UInt64,
        _ records: UInt64,
        _ thread: UnsafeMutablePointer<mlog_thread_mark>
    ) throws(LogError) -> Turn {
        unsafe mutex.keep(thread)
        if control.isRepairDue { try takeOverFromDeadOwner() }
        var turn = unsafe currentTurn(thread)
        do throws(LogError) {
            try makeRoom(&turn, room, records)
        } catch {
            unsafe mutex.unlock(thread)
            throw error
        }
        return turn
    }

    /// A whole frame but its word; the padding is 0 as all behind the tail.
    @inline(__always)
    func write(
        _ payload: UnsafeRawPointer?,
        _ frame: UnsafeMutableRawPointer,
        _ word: FrameWord,
        _ turn: Turn,
        position: UInt64,
        timestamp: Int64
    ) {
        let lag = mlog_frame_lag(position &- control.durable.load())
        unsafe mlog_frame_write(frame, payload, word.rawValue, position, timestamp, lag, local.pointee.seed)
    }

    /// Everything of a frame but its word, around a payload that is there already.
    @inline(__always)
    func complete(
        _ frame: UnsafeMutableRawPointer,
        _ word: FrameWord,
        _ turn: Turn,
        position: UInt64,
        timestamp: Int64
    ) {
        let lag = mlog_frame_lag(position &- control.durable.load())
        unsafe frame.storeBytes(of: lag, toByteOffset: 12, as: UInt32.self)
        unsafe frame.storeBytes(of: timestamp, toByteOffset: 16, as: Int64.self)
        let crc = unsafe mlog_frame_crc(frame, Int(word.frameSize), word.rawValue, position, local.pointee.seed)
        unsafe frame.storeBytes(of: crc, toByteOffset: 8, as: UInt32.self)
    }

    /// Where the frame at this offset of the active segment is.
    @inline(__always)
    func frame(_ offset: UInt64) -> UnsafeMutableRawPointer {
        unsafe local.pointee.start + Int(truncatingIfNeeded: offset)
    }

    /// Writes the index entry if the frame is the first of its block.
    @inline(__always)
    func index(_ offset: UInt64, _ slot: mlog_append_slot) {
        let block = offset / SegmentGeometry.blockSize
        let entry = unsafe frame(geometry.dataEnd &+ block &* UInt64(MLOG_INDEX_ENTRY_BYTES))
        if unsafe entry.load(as: UInt32.self) == 0 { addIndexEntry(offset, slot) }
    }

    /// Under the append lock: the block of this offset has its index entry.
    private func setIndexed(_ offset: UInt64) {
        unsafe local.pointee.indexedEnd = (offset / SegmentGeometry.blockSize + 1) * SegmentGeometry.blockSize
        setLimit()
    }

    @inline(never)
    private func addIndexEntry(_ offset: UInt64, _ slot: mlog_append_slot) {
        unsafe active.pointee?.store(
            IndexEntry(offset: offset, sequence: slot.sequence, largestTimestampBefore: slot.largest_timestamp)
        )
    }

    /// Makes a frame visible.
    @inline(__always)
    func commit(_ word: FrameWord, at frame: UnsafeMutableRawPointer) {
        unsafe SharedWord<UInt64>(frame).store(word.rawValue)
    }

    /// Moves on to the next slot, lets go of the lock, and wakes who waits.
    func finish(_ turn: Turn) {
        control.generation.store(turn.generation &+ 1)
        unsafe mutex.unlock(turn.thread)
        waiters.wake(.committed)
        if turn.isAtBell { populator.ring() }
        if unsafe local.wantsBell.relaxedLoad() != 0 { ringHousekeeper() }
    }

    func ringHousekeeper() {
        unsafe local.wantsBell.relaxedStore(0)
        housekeeper.ring()
    }

    func tooLarge(_ byteCount: Int) -> LogError {
        LogError(
            .recordTooLarge,
            file: segments.log.medium.path,
            expected: "0 to \(geometry.largestPayload) bytes",
            found: "\(byteCount) bytes",
            advice: "split the record, or make a log with larger segments"
        )
    }
}

/// What is asked of the address, and not of the value: that would be a copy of all of it, while others store to some.
extension UnsafeMutablePointer<Appender.Local> {
    /// Whether there is nothing to do, or to say, before so much is appended at this offset of the active segment.
    ///
    /// What has room there is no larger than a record may be. Only under the append lock. The tail is another process's
    /// word: where it lies outside of that segment the offset is any number, and a sum with it might wrap.
    @inline(__always)
    func isPlain(_ offset: UInt64, room: UInt64) -> Bool {
        let limit = unsafe pointee.limit
        return unsafe offset <= limit && room <= limit &- offset && pointee.control.failures.load() == 0
    }

    /// Whether the policy asks for a flush behind an append up to `end`.
    ///
    /// Where it is durable by now the answer may be true; that flush finds nothing to do.
    @inline(__always)
    func mustFlush(upTo end: UInt64) -> Bool {
        unsafe pointee.flushLimit != .max && end &- pointee.control.durable.load() >= pointee.flushLimit
    }

    @inline(__always) var entry: SharedWord<UInt32> { unsafe word(\.entry) }
    @inline(__always) var wantsBell: SharedWord<UInt32> { unsafe word(\.wantsBell) }

    @inline(__always)
    private func word(_ field: KeyPath<Appender.Local, UInt32>) -> SharedWord<UInt32> {
        unsafe SharedWord(UnsafeMutableRawPointer(self) + MemoryLayout<Appender.Local>.offset(of: field)!)
    }
}

extension mlog_append_slot {
    /// The slot behind an append.
    @inline(__always)
    func adding(records: UInt64, size: UInt64, smallest: Int64, largest: Int64) -> mlog_append_slot {
        mlog_append_slot(
            tail: tail &+ size,
            sequence: sequence &+ records,
            smallest_timestamp: min(smallest_timestamp, smallest),
            largest_timestamp: max(largest_timestamp, largest)
        )
    }
}

extension LogError {
    @inline(never)
    static var reentrant: LogError {
        LogError(.reentrant, advice: "do it after the in-place append has returned")
    }

    @inline(never)
    static var closed: LogError {
        LogError(.closed, advice: "open the log again")
    }

    @inline(never)
    static var noThreadMark: LogError {
        LogError(.io, found: "no memory for a thread's mark", advice: "free memory and try again")
    }

    /// Nobody knows what its flush came to.
    static func deadRepair(_ path: FilePath) -> LogError {
        LogError(
            .needsRecovery,
            file: path,
            found: "a repair that died in its flush",
            advice: "close the log in all processes, then open it again: it recovers"
        )
    }
}
