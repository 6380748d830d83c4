import Glibc
import SystemPackage
import Testing

@testable import MappedLog

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
}
