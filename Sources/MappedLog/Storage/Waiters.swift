internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The "wake me" words in `live/waiters`, one for what is committed and one for what is durable: bit 0 is a flag, the rest
/// counts wakes.
///
/// A tailer about to sleep sets the flag, fences every writer (`membarrier(2)`), looks once more, and sleeps in
/// `futex(2)` while the word is as it left it, always bounded. A writer loads the word behind its commit, and only if
/// the flag is set clears it, counts, and wakes. With a flag alone, a second sleeper that sets it again would put the
/// first one to sleep past its wake.
@safe struct Waiters: Sendable {
    enum Event {
        case committed
        case durable
    }

    /// How long one sleep lasts at most: a writer may die between its commit and its wake.
    static let longestSleepNanoseconds: UInt64 = 100_000_000
    /// How long one sleep of a tailer that may not set the flag lasts.
    static let pollNanoseconds: UInt64 = 1_000_000

    private let mapping: Mapping
    private nonisolated(unsafe) let start: UnsafeMutableRawPointer
    /// False where `membarrier(2)` is refused: then each wake fences for itself.
    let sleepersFence: Bool

    /// As a writer, registers this process for the fences of sleepers.
    init(_ file: OpenFile, asWriter: Bool) throws(LogError) {
        mapping = try Mapping(file, byteCount: UInt64(MLOG_WAITERS_BYTES), writable: true)
        unsafe start = mapping.start
        sleepersFence = asWriter ? mlog_membarrier_register() == 0 : true
    }

    /// Wakes who waits for the event.
    ///
    /// Behind the commit, or behind the watermark and the flusher lock: there the fence is the writer's, since a flush
    /// costs a thousand times as much.
    @inline(__always)
    func wake(_ event: Event) {
        if event == .durable || !sleepersFence { mlog_full_fence() }
        Self.wake(word(event))
    }

    /// The same, where the sleepers fence.
    @inline(__always)
    static func wake(_ word: SharedWord<UInt32>) {
        if word.load() & 1 != 0 { wakeSleepers(word) }
    }

    /// Whether somebody sleeps, or has slept and died.
    @inline(__always)
    func isAwaited(_ event: Event) -> Bool {
        word(event).load() & 1 != 0
    }

    @inline(never)
    private static func wakeSleepers(_ word: SharedWord<UInt32>) {
        var seen = word.load()
        while seen & 1 != 0 {
            if word.compareExchange(&seen, (seen & ~1) &+ 2) {
                _ = unsafe mlog_futex_wake_all(word.address)
                return
            }
        }
    }

    @inline(__always)
    func address(_ event: Event) -> UnsafeMutablePointer<UInt32> {
        let offset = Int(event == .committed ? MLOG_WAITERS_COMMITTED_OFFSET : MLOG_WAITERS_DURABLE_OFFSET)
        return unsafe (start + offset).assumingMemoryBound(to: UInt32.self)
    }

    /// Sleeps until woken, `nanoseconds` passed, or `isReady` says that there is no need to.
    func sleep(until event: Event, nanoseconds: UInt64, unless isReady: () throws(LogError) -> Bool) throws(LogError) {
        let flagged = word(event).setBit0()
        // Where it is refused, or for what is durable, writers fence before each look at the flag.
        if event == .durable || mlog_membarrier() != 0 { mlog_full_fence() }
        if try isReady() { return }
        _ = unsafe mlog_futex_wait(address(event), flagged, min(nanoseconds, Self.longestSleepNanoseconds))
    }

    @inline(__always)
    func word(_ event: Event) -> SharedWord<UInt32> {
        unsafe SharedWord(address(event))
    }
}

extension Waiters {
    /// One bounded step of who may not set the flag.
    static func poll() {
        usleep(UInt32(pollNanoseconds / 1000))
    }
}
