import MappedLog
import SystemPackage

extension Bench {
    /// Rounds of a repetition; before each, the pages that it needs are populated.
    private static let rounds = 8

    /// Appends from several processes, and from several threads of one, beside what one does.
    mutating func concurrent() throws {
        for size in recordBytes ?? [64, 4096] {
            let modes: [(name: String, processes: Int, threads: Int, batch: Int)] = [
                ("process1.single", 1, 1, 1), ("processes4.single", 4, 1, 1), ("threads4.single", 1, 4, 1),
                ("process1.batch100", 1, 1, 100), ("processes4.batch100", 4, 1, 100),
            ]
            // As one by one: what is populated ahead, so that it is the lock that is seen.
            let records = records.map { $0 / Self.rounds } ?? Self.burst / Self.frameSize(size)
            var times = [[Double]](repeating: [], count: modes.count)
            var done = [Int](repeating: 0, count: modes.count)
            var worst = [WorkerReport](repeating: WorkerReport(), count: modes.count)
            for _ in 0..<repetitions {
                for (index, mode) in modes.enumerated() where wants(mode.name) {
                    try Self.checkInterruption()
                    let log = try ground.newLog("concurrent")
                    let each = max(1, records / mode.processes / mode.threads / mode.batch) * mode.batch
                    let order = WorkerOrder.append(
                        log: log.path.string,
                        records: each,
                        recordBytes: size,
                        batch: mode.batch,
                        threads: mode.threads
                    )
                    let workers = try (0..<mode.processes).map { _ in try Worker(order) }
                    var sum = 0.0
                    for _ in 0..<Self.rounds {
                        let round = try Worker.runTogether(workers, after: Self.pause)
                        done[index] = round.records * Self.rounds
                        sum += round.nanosecondsPerRecord
                        worst[index].keepWorst(of: round)
                    }
                    times[index].append(sum / Double(Self.rounds))
                    for worker in workers { try worker.end() }
                    try log.close()
                    try ground.remove(log.path)
                }
            }
            for (index, mode) in modes.enumerated() where wants(mode.name) {
                var line = BenchLine("append_concurrent", medium, mode.name, recordBytes: size)
                line.add(nanosecondsPerRecord: times[index], records: done[index])
                if let single = modes.firstIndex(where: { $0.batch == mode.batch }), !times[single].isEmpty {
                    line.add("ratio_to_one", Spread(times[index]).median / Spread(times[single]).median)
                }
                line.add("cpu_wait", worst[index].cpuWait)
                try report(line)
            }
        }
    }
}
