import Foundation
import Glibc
import MappedLog
import Synchronization
import SystemPackage
import Testing
import _CMappedLog

@testable import MappedLogCrashImages

/// A repair (`spec/protocol.md`, "A dead owner") flushes while a sync does, perhaps through the same descriptor: of a
/// failure that the repair was told of, the sync is told no more ("Sync", 6).
extension CrashImageTests {
    enum RepairEnd: CaseIterable {
        case failed
        case died
    }

    @Test(arguments: RepairEnd.allCases)
    func `a sync isn't acknowledged beside a repair whose flush failed, or which died in it`(end: RepairEnd) throws {
        try withRoot { root in
            let log = try Log.create(at: root.appending("log"), options: .forCrashes)
            for number in 0..<UInt8(9) { try log.append([number]) }
            let before = try log.durablePosition
            let shared = try SharedFiles(of: root.appending("log"), at: try log.endPosition.rawValue)
            let error = atNextFlush {
                try? shared.dieWith(\.append_mutex) {
                    shared.control.store(2, at: \.batch_words)
                    if end == .failed { shared.control.store(UInt32(EIO), at: \.needs_recovery) }
                }
            } during: {
                #expect(throws: LogError.self) { try log.sync() }
            }
            #expect(error?.code == .needsRecovery)
            // The next one is told nothing either.
            #expect(throws: LogError.self) { try log.sync() }
            #expect(try log.durablePosition == before)
            try? log.close()

            let reopened = try Log.open(at: root.appending("log"))
            var tailer = try reopened.tailer(from: .first)
            var seen: [UInt8] = []
            while let record = try tailer.next() { seen.append(unsafe record.payload.unsafeLoad(as: UInt8.self)) }
            #expect(seen == Array(0..<9))
            try reopened.close()
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a sync waits for a repair's flush that is under way`() throws {
        try withRoot { root in
            let log = try Log.create(at: root.appending("log"), options: .forCrashes)
            try log.append([1])
            let end = try log.endPosition
            let repair = SlowRepair(log, try SharedFiles(of: root.appending("log"), at: end.rawValue))
            repair.begin()
            let hadEnded = try atNextFlush(repair.flush) {
                try log.sync()
                return repair.hasEnded.load(ordering: .acquiring)
            }
            #expect(hadEnded)
            #expect(try log.durablePosition >= end)
            repair.thread.wait()
            try log.close()
        }
    }
}

/// Holds the append lock, as a repair does, in the closure of an append; and flushes for a while, when it is told to.
private final class SlowRepair: @unchecked Sendable {
    let hasEnded = Atomic(false)
    let thread = DispatchSemaphore(value: 0)
    private let log: Log
    private let shared: SharedFiles
    private let hasLock = DispatchSemaphore(value: 0)
    private let mayFlush = DispatchSemaphore(value: 0)
    private let flushes = DispatchSemaphore(value: 0)

    init(_ log: Log, _ shared: SharedFiles) {
        self.log = log
        self.shared = shared
    }

    func begin() {
        Thread.detachNewThread { [self] in
            _ = try? log.append(reserving: 8) { output in
                hasLock.signal()
                mayFlush.wait()
                shared.control.store(2, at: \.batch_words)
                flushes.signal()
                usleep(50_000)
                hasEnded.store(true, ordering: .releasing)
                shared.control.store(0, at: \.batch_words)
                output.append(2)
            }
            thread.signal()
        }
        hasLock.wait()
    }

    /// Returns once it does.
    func flush() {
        mayFlush.signal()
        flushes.wait()
    }
}
