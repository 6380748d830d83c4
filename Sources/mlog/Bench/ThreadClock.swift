import FoundationEssentials
import Glibc

/// The clock that all processes of a machine share, and what a thread waits for a CPU.
enum ThreadClock {
    /// Nanoseconds since the machine came up.
    @inline(__always)
    static func now() -> UInt64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

extension ThreadClock {
    /// Sleeps to just before that time, and spins up to it; not at all where it is over.
    static func sleep(until time: UInt64) {
        let early = time &- min(time, 100_000)
        var wake = timespec(tv_sec: Int(early / 1_000_000_000), tv_nsec: Int(early % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nil) == EINTR {}
        spin(until: time)
    }

    /// Keeps the processor busy up to that time: out of a sleep it would come slow and with cold caches.
    static func spin(until time: UInt64) {
        while now() < time {}
    }
}

/// Tells which share of a time this thread stood ready without a CPU: above 0.02 it is the neighbours that are measured.
struct CPUWait {
    private let start = ThreadClock.now()
    private let waited = Self.waitedSoFar()

    var share: Double {
        Double(Self.waitedSoFar() &- waited) / Double(max(1, ThreadClock.now() &- start))
    }

    private static func waitedSoFar() -> UInt64 {
        let text = (try? String(contentsOfFile: "/proc/thread-self/schedstat", encoding: .utf8)) ?? ""
        return text.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0
    }
}
