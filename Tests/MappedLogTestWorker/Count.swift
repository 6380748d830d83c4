import ArgumentParser
import Glibc
import MappedLog
import _CAllocationCount

/// Does one kind of work in steady state, between two system calls that nobody else makes, and says what it cost.
struct Count: ParsableCommand {
    enum Work: String, ExpressibleByArgument {
        case append
        case tail
        case sync
    }

    @OptionGroup var place: Place
    @Option var work: Work
    @Option var count: Int

    func run() throws {
        let log = try Log.open(at: place.path, opening: OpenOptions(durability: .never))
        let payload = [UInt8](repeating: 7, count: 64)
        for _ in 0..<count { try log.append(payload) }
        switch work {
        case .append:
            // The background thread populates what comes next.
            usleep(500_000)
            try measure { for _ in 0..<count { try log.append(payload) } }
        case .tail:
            var tailer = try log.tailer()
            // Maps the segment.
            try read(0..<1, &tailer)
            try measure { try read(1..<count, &tailer) }
        case .sync:
            let batch = Array(repeating: payload, count: 100)
            try measure {
                for _ in 0..<count {
                    try log.append(batch: batch)
                    try log.sync()
                }
            }
        }
        try log.close()
    }

    private func read(_ numbers: Range<Int>, _ tailer: inout Tailer) throws {
        for number in numbers {
            guard try tailer.next()?.sequence == UInt64(number) else { throw ExitCode(4) }
        }
    }

    private func measure(_ body: () throws -> Void) throws {
        let before = (faults: Self.faults(), allocations: test_allocations())
        // strace(1) finds what lies between.
        _ = getppid()
        try body()
        _ = getppid()
        let faults = Self.faults() - before.faults
        let allocations = test_allocations()
        unsafe free(malloc(1))
        // Where one isn't counted, none is.
        guard test_allocations() == allocations &+ 1 else { throw ExitCode(5) }
        say("faults \(faults) allocations \(allocations - before.allocations)")
    }

    /// Page faults of this thread that needed no disk.
    private static func faults() -> Int {
        let thisThread: Int32 = 1  // RUSAGE_THREAD, which Glibc's module doesn't name
        var usage = rusage()
        _ = unsafe getrusage(thisThread, &usage)
        return usage.ru_minflt
    }
}
