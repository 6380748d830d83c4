import MappedLog
import SystemPackage

extension Bench {
    /// Appends one by one, each durable when the call returns.
    mutating func durable() throws {
        guard wants("every_append") else { return }
        let records = min(records ?? 1000, BenchWork.durable.mostRecords)
        for size in recordBytes ?? [64] {
            let payloads = Payloads.random(size: size)
            var delays: [[UInt64]] = []
            let wait = CPUWait()
            for _ in 0..<repetitions {
                let log = try ground.newLog("durable", durability: .everyAppend)
                delays.append(try Self.delays(of: records) { index in try payloads.append(index, to: log) })
                try log.close()
                try ground.remove(log.path)
            }
            var line = BenchLine("durable", medium, "every_append", recordBytes: size)
            line.add(delays: delays)
            line.add("cpu_wait", wait.share)
            try report(line)
        }
    }

    /// How long each call takes; `paced` is called before each, and isn't counted.
    static func delays(
        of count: Int,
        paced: () -> Void = {},
        _ body: (Int) throws -> Void
    ) throws -> [UInt64] {
        var delays: [UInt64] = []
        delays.reserveCapacity(count)
        for index in 0..<count {
            if index % 1024 == 0 { try checkInterruption() }
            paced()
            let start = ThreadClock.now()
            try body(index)
            delays.append(ThreadClock.now() - start)
        }
        return delays
    }

    /// 64 threads of two processes append, each waiting until its record is durable; beside one that does.
    mutating func groupCommit() throws {
        let threads = 32
        let each = max(1, (records ?? 12_800) / (2 * threads))
        for size in recordBytes ?? [64] {
            let modes = [("processes2.threads32", 2, threads, each), ("process1.thread1", 1, 1, each * 4)]
            var times = [[Double]](repeating: [], count: modes.count)
            var wait = [0.0, 0.0]
            for _ in 0..<repetitions {
                for (index, (mode, processes, threads, each)) in modes.enumerated() where wants(mode) {
                    try Self.checkInterruption()
                    let log = try ground.newLog("group", durability: .everyAppend)
                    let order = WorkerOrder.append(
                        log: log.path.string,
                        records: each,
                        recordBytes: size,
                        batch: 1,
                        threads: threads
                    )
                    let workers = try (0..<processes).map { _ in try Worker(order) }
                    let whole = try Worker.runTogether(workers)
                    times[index].append(whole.nanosecondsPerRecord)
                    wait[index] = max(wait[index], whole.cpuWait)
                    for worker in workers { try worker.end() }
                    try log.close()
                    try ground.remove(log.path)
                }
            }
            for (index, (mode, processes, threads, each)) in modes.enumerated() where wants(mode) {
                var line = BenchLine("group_commit", medium, mode, recordBytes: size)
                line.add(nanosecondsPerRecord: times[index], records: processes * threads * each)
                if !times[1].isEmpty {
                    line.add("ratio_to_one", Spread(times[index]).median / Spread(times[1]).median)
                }
                line.add("cpu_wait", wait[index])
                try report(line)
            }
        }
    }
}
