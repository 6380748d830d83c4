import Foundation
import Testing
@preconcurrency @unsafe import _CMappedLog

/// Without the vDSO an append works, and takes a tenth longer: nothing else would tell.
@Suite struct ClockTests {
    @Test func `the clock is asked in the vDSO, and says what the C library says`() throws {
        let address = unsafe unsafeBitCast(mlog_clock_gettime, to: UInt.self)
        // A file without a size, which comes in pieces.
        let file = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
        let maps = String(decoding: try #require(try file.readToEnd()), as: UTF8.self)
        let vdso = try #require(maps.split(separator: "\n").first { $0.hasSuffix("[vdso]") })
        let ends = vdso.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
        #expect(ends[0] <= address && address < ends[1])
        for clock in [CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC] {
            var (before, after) = (timespec(), timespec())
            _ = unsafe clock_gettime(clock, &before)
            let read = mlog_clock_read(clock)
            _ = unsafe clock_gettime(clock, &after)
            let range = [before, after].map { Int64($0.tv_sec) * 1_000_000_000 + Int64($0.tv_nsec) }
            #expect(range[0] <= read && read <= range[1])
        }
    }
}
