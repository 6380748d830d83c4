import ArgumentParser
import Foundation
import Glibc
import MappedLog
import Synchronization
import _CAllocationCount
import _CMappedLog

/// Does one kind of work in steady state, between two system calls that nobody else makes, and says what it cost.
struct Count: ParsableCommand {
    enum Work: String, ExpressibleByArgument {
        case append
        /// Batches of ten.
        case batch
        /// Records that are written in place.
        case reserve
        case tail
        /// The same from a compacted segment.
        case compacted
        /// Batches of 100, each followed by a sync.
        case sync
        /// Batches of ten, where the policy is to flush each.
        case durable
        /// Eight threads that append and wait until it is durable, each so often.
        case group
        /// An append lock, and another thread that waits for it each time.
        case contend
        /// The same, seen by the one that waits.
        case queue
    }

    @OptionGroup var place: Place
    @Option var work: Work
    @Option var count: Int
    @Option var payloadBytes = 64

    func run() throws {
        let durability: Durability = work == .durable ? .everyAppend : .never
        let log = try Log.open(at: place.path, opening: OpenOptions(durability: durability))
        let payload = [UInt8](repeating: 7, count: payloadBytes)
        for _ in 0..<count { try log.append(payload) }
        switch work {
        case .append:
            // The background thread populates what comes next.
            usleep(500_000)
            try measure { for _ in 0..<count { try log.append(payload) } }
        case .batch:
            let batch = Array(repeating: payload, count: 10)
            // The first one's memory comes from the system.
            try log.append(batch: batch)
            usleep(500_000)
            try measure { for _ in 0..<count / 10 { try log.append(batch: batch) } }
        case .reserve:
            usleep(500_000)
            try measure { for _ in 0..<count { try log.append(reserving: 64) { $0.append(7) } } }
        case .durable:
            let batch = Array(repeating: payload, count: 10)
            try measure { for _ in 0..<count { try log.append(batch: batch) } }
        case .tail:
            try tail(log)
        case .compacted:
            try log.sync()
            let report = try Compactor.compact(at: place.path)
            guard report.segments.count == 1 else { throw ExitCode(6) }
            try tail(log)
        case .sync:
            let batch = Array(repeating: payload, count: 100)
            try measure {
                for _ in 0..<count {
                    try log.append(batch: batch)
                    try log.sync()
                }
            }
        case .group:
            try measure { group(payload, log) }
        case .contend: try contend()
        case .queue: try queue()
        }
        try log.close()
    }

    private func tail(_ log: Log) throws {
        var tailer = try log.tailer()
        // Maps the segment.
        try read(0..<1, &tailer)
        try measure { try read(1..<count, &tailer) }
    }

    private func group(_ payload: [UInt8], _ log: Log) {
        let threads = 8
        let each = count
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<threads {
            Thread.detachNewThread {
                for _ in 0..<each {
                    guard (try? log.append(payload)) != nil, (try? log.sync()) != nil else { _exit(4) }
                }
                done.signal()
            }
        }
        for _ in 0..<threads { done.wait() }
    }

    private func contend() throws {
        let lock = ContendedLock()
        guard lock.isMade, let thread = unsafe mlog_thread() else { throw ExitCode(4) }
        let rounds = count
        Thread.detachNewThread {
            for round in 1...rounds {
                while lock.started.load(ordering: .acquiring) < round { mlog_cpu_pause() }
                guard lock.waitAndLetGo() else { _exit(4) }
                lock.ended.store(round, ordering: .releasing)
            }
        }
        try measure {
            for round in 1...rounds {
                guard unsafe mlog_lock_if_free(lock.mutex, thread) != 0 else { throw ExitCode(4) }
                lock.started.store(round, ordering: .releasing)
                while !lock.isAwaited { mlog_cpu_pause() }
                unsafe mlog_unlock(lock.mutex, thread)
                while lock.ended.load(ordering: .acquiring) < round { mlog_cpu_pause() }
            }
        }
    }

    /// The lock isn't let go of before this thread has queued up for it.
    private func queue() throws {
        let lock = ContendedLock()
        guard lock.isMade else { throw ExitCode(4) }
        let rounds = count
        Thread.detachNewThread {
            guard let thread = unsafe mlog_thread() else { _exit(4) }
            for round in 1...rounds {
                while lock.ended.load(ordering: .acquiring) < round - 1 { mlog_cpu_pause() }
                guard unsafe mlog_lock_if_free(lock.mutex, thread) != 0 else { _exit(4) }
                lock.started.store(round, ordering: .releasing)
                while !lock.isAwaited { mlog_cpu_pause() }
                unsafe mlog_unlock(lock.mutex, thread)
            }
        }
        try measure {
            for round in 1...rounds {
                while lock.started.load(ordering: .acquiring) < round { mlog_cpu_pause() }
                guard lock.waitAndLetGo() else { throw ExitCode(4) }
                lock.ended.store(round, ordering: .releasing)
            }
        }
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
