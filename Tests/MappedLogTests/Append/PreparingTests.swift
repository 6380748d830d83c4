import Glibc
import MappedLogTestSupport
import Synchronization
import SystemPackage
import Testing

@testable import MappedLog

extension LogOptions {
    fileprivate static let lazy = LogOptions(segmentSize: 8 << 20, durability: .never)
}

/// The next segment, made ahead of the appends.
@Suite struct PreparingTests {
    /// Retention and compaction unlink under the gate, so a preparer that was held up can't take the place of what they
    /// removed for one that was never filled.
    @Test(.timeLimit(.minutes(1))) func `a segment is prepared under the gate only, and an append doesn't wait for it`()
        throws
    {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            func isThere(_ number: UInt64) -> Bool {
                unsafe access(path.appending(SegmentImage.name(number << 16)).string, F_OK) == 0
            }
            while !isThere(1) { usleep(1000) }
            let gate = try LogPlace(at: LogLocation(path)).medium.openLock()
            try gate.lockGate(timeout: .seconds(10))
            for number in 0..<2 { try log.append(payload(number, 40_000)) }
            usleep(100_000)
            #expect(isThere(1) && !isThere(2))
            try log.append(payload(2, 40_000))
            #expect(isThere(2) && !isThere(3))
            gate.unlockGate()
            while !isThere(3) { usleep(1000) }
            #expect(Sight.of(log).records.count == 3)
        }
    }

    /// The disk may take its time with a segment; until then there is room in this one.
    @Test(
        .timeLimit(.minutes(1)),
        .disabled(if: Sanitizer.name != nil, "a sanitizer's own page faults would be counted")
    )
    func `pages are populated while the next segment can't be prepared`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 32 << 20, durability: .never))
            func isThere(_ number: UInt64) -> Bool {
                unsafe access(path.appending(SegmentImage.name(number << 25)).string, F_OK) == 0
            }
            while !isThere(1) { usleep(1000) }
            let gate = try LogPlace(at: LogLocation(path)).medium.openLock()
            try gate.lockGate(timeout: .seconds(10))
            let payload = payload(0, 16_000)
            while try log.append(payload).position.rawValue < 32 << 20 {}
            // A mebibyte of pages that nobody has populated is hundreds of faults.
            var fewest = Int.max
            for _ in 0..<24 where fewest >= 16 {
                usleep(50_000)
                let before = Self.faults
                for _ in 0..<64 { try log.append(payload) }
                fewest = min(fewest, Self.faults - before)
            }
            #expect(fewest < 16)
            #expect(!isThere(2))
            gate.unlockGate()
        }
    }

    /// The next segment's own flushes would wait behind what is written of the sealed one, and appends for them.
    @Test(.timeLimit(.minutes(1))) func `the flush of a sealed segment gives way until the next one is there`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .lazy)
            func isThere(_ number: UInt64) -> Bool {
                unsafe access(path.appending(SegmentImage.name(number << 23)).string, F_OK) == 0
            }
            while !isThere(1) { usleep(1000) }
            let gate = try LogPlace(at: LogLocation(path)).medium.openLock()
            try gate.lockGate(timeout: .seconds(10))
            while try log.append(payload(0, 100_000)).position.rawValue < 8 << 20 {}
            #expect(try #require(log.writer).housekeeper.mustGiveWay)
            // Not where somebody waits.
            try log.sync()
            #expect(try log.durablePosition == log.endPosition && !isThere(2))
            gate.unlockGate()
            while try #require(log.writer).housekeeper.mustGiveWay { usleep(1000) }
            #expect(isThere(2))
        }
    }

    /// Each takes a descriptor, and time of a recovery.
    @Test(.timeLimit(.minutes(1))) func `the flush of a sealed segment doesn't give way where many wait`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10, durability: .never))
            let writer = try #require(log.writer)
            let gate = try LogPlace(at: LogLocation(path)).medium.openLock()
            try gate.lockGate(timeout: .seconds(10))
            defer { gate.unlockGate() }
            func fill(upTo segments: UInt64) throws {
                while try log.append(payload(0, 40_000)).position.rawValue < segments << 16 {}
            }
            let isFull = Atomic(false)
            // The flush that is under way holds up all others. The housekeeper may have been faster with the first.
            var sealed: UInt64 = 0
            var hasFlushed = false
            while !hasFlushed {
                sealed += 1
                try fill(upTo: sealed)
                hasFlushed = try writer.flusher.flushSealed {
                    guard !isFull.exchange(true, ordering: .relaxed) else { return }
                    guard let durable = try? log.durablePosition.rawValue >> 16 else { return }
                    try? fill(upTo: durable + 32)
                    #expect(writer.housekeeper.mustGiveWay)
                    try? fill(upTo: durable + 33)
                    #expect(!writer.housekeeper.mustGiveWay)
                }
            }
            let wasFilled = isFull.load(ordering: .relaxed)
            #expect(wasFilled)
        }
    }

    /// Who waits is told by nothing but the wait, so that it is a thread of its own that does.
    @Test(.timeLimit(.minutes(1)))
    func `the flush of a sealed segment gives way for a moment, and not where somebody waits for it`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .lazy)
            let writer = try #require(log.writer)
            let gate = try LogPlace(at: LogLocation(directory.appending("log"))).medium.openLock()
            try gate.lockGate(timeout: .seconds(10))
            var sealed: UInt64 = 0
            var hasFlushed = false
            let calls = Mutex(0)
            let sync = Mutex<Thread?>(nil)
            // The housekeeper may be faster, or at it.
            while !hasFlushed {
                if try log.durablePosition.rawValue + 200_000 >= sealed << 23 {
                    sealed += 1
                    while try log.append(payload(0, 100_000)).position.rawValue < sealed << 23 {}
                }
                _ = try writer.flusher.flushSealed {
                    // Who is killed here dies in no flush.
                    #expect(writer.appender.control.flushing.load() == 0)
                    let isFirst = calls.withLock { calls in
                        calls += 1
                        return calls == 1
                    }
                    guard isFirst else { return }
                    // Once for each round, not for each piece.
                    let times = (0..<5).map { _ in ContinuousClock().measure { writer.housekeeper.giveWay() } }
                    #expect(times[0] >= .milliseconds(200) && times[0] < .seconds(2))
                    #expect(times.dropFirst().contains { $0 < .milliseconds(50) })
                    #expect(writer.housekeeper.mustGiveWay)
                    sync.withLock { $0 = .run { try? log.sync() } }
                    while !writer.flusher.isAwaited { usleep(1000) }
                    #expect(!writer.housekeeper.mustGiveWay)
                }
                hasFlushed = calls.withLock { $0 > 0 }
                if !hasFlushed { usleep(1000) }
            }
            let end = try log.endPosition
            sync.withLock { $0 }?.join()
            #expect(try log.durablePosition >= end)
            #expect(writer.housekeeper.mustGiveWay)
            // Nor where a close waits for the thread.
            writer.housekeeper.end()
            #expect(!writer.housekeeper.mustGiveWay)
            gate.unlockGate()
        }
    }

    /// What is flushed lets go of the descriptors that others need.
    @Test(.timeLimit(.minutes(1))) func `sealed segments are flushed without a free descriptor`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let (log, writer) = try Self.withFourSealed(at: path)
            while unsafe access(path.appending(SegmentImage.name(5 << 16)).string, F_OK) != 0 { usleep(1000) }
            var limit = rlimit()
            _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            // Segments' are the highest; what is free below them is taken.
            let highest = try #require(SystemCall.names(in: "/proc/self/fd").compactMap { CInt($0) }.max())
            var none = rlimit(rlim_cur: rlim_t(highest), rlim_max: limit.rlim_max)
            _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
            // And what the preparer lets go of, which has yet to close its directory.
            var taken: [CInt] = []
            for _ in 0..<50 {
                usleep(2000)
                while case let file = dup(0), file >= 0 { taken.append(file) }
            }
            defer {
                _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                for file in taken { close(file) }
            }
            for number: UInt64 in 0..<4 {
                #expect(try writer.flusher.flushSealed {})
                #expect(try log.durablePosition.rawValue >> 16 == number)
            }
        }
    }

    @Test func `fewer large segments wait for their flush than small ones`() {
        #expect(Housekeeper.mostWaiting(ofBytes: 64 << 10) == 32)
        #expect(Housekeeper.mostWaiting(ofBytes: 64 << 20) == 32)
        #expect(Housekeeper.mostWaiting(ofBytes: 256 << 20) == 8)
        #expect(Housekeeper.mostWaiting(ofBytes: 4 << 30) == 2)
    }

    /// However many there are to be flushed: where the lock has gone, another writer appends over this one's records.
    @Test func `each round of the housekeeper flushes one sealed segment, behind a look at the lock`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let (log, writer) = try Self.withFourSealed(at: path)
            for number: UInt64 in 0..<2 {
                #expect(writer.housekeeper.work() == .zero)
                #expect(try log.durablePosition.rawValue >> 16 == number)
            }
            let durable = try log.durablePosition
            let lock = path.appending("live/lock")
            try writeFile(directory.appending("other"), [])
            #expect(unsafe rename(directory.appending("other").string, lock.string) == 0)
            #expect(writer.housekeeper.work() > .zero)
            #expect(throws: LogError.self) { try log.append([1]) }
            #expect(try log.durablePosition == durable)
        }
    }

    @Test(.timeLimit(.minutes(1))) func `sealed segments are flushed one by one, and 4 MiB at a time`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .lazy)
            let writer = try #require(log.writer)
            writer.housekeeper.end()
            while try log.append(payload(0, 100_000)).position.rawValue < 16 << 20 {}
            let pieces = Mutex(0)
            for number: UInt64 in 1...2 {
                #expect(try writer.flusher.flushSealed { pieces.withLock { $0 += 1 } })
                let durable = try log.durablePosition.rawValue
                #expect(durable > (number << 23) - 200_000 && durable <= number << 23)
                #expect(pieces.withLock { $0 } == 2 * Int(number))
            }
            #expect(try !writer.flusher.flushSealed {})
            try log.sync()
            #expect(try log.durablePosition == log.endPosition)
        }
    }

    /// A log with four sealed segments, none of them durable, and no housekeeper to change that.
    private static func withFourSealed(at path: FilePath) throws -> (Log, Writer) {
        let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10, durability: .never))
        let writer = try #require(log.writer)
        writer.housekeeper.end()
        while try log.append(payload(0, 20_000)).position.rawValue < 4 << 16 {}
        return (log, writer)
    }

    /// Page faults of this thread.
    private static var faults: Int {
        var usage = rusage()
        let thisThread: Int32 = 1  // RUSAGE_THREAD, which Glibc's module doesn't name
        _ = unsafe getrusage(thisThread, &usage)
        return usage.ru_minflt
    }
}
