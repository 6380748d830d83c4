import MappedLog
import SystemPackage
import _CBench

extension Bench {
    /// How long a single append takes, paced at 100,000 a second.
    mutating func latency() throws {
        // More than a segment holds, so that rolls are in it.
        let records = records ?? 1_000_000
        let interval: UInt64 = 10_000
        for size in recordBytes ?? [64] {
            let payloads = Payloads.random(size: size)
            var delays: [[UInt64]] = []
            let wait = CPUWait()
            for _ in 0..<repetitions {
                let log = try ground.newLog("latency")
                var next = ThreadClock.now() + interval
                delays.append(
                    try Self.delays(of: records, paced: { Self.pace(&next, interval) }) { index in
                        try payloads.append(index, to: log)
                    }
                )
                try log.close()
                try ground.remove(log.path)
            }
            var line = BenchLine("latency", medium, "paced_100000_per_s", recordBytes: size)
            line.add(delays: delays)
            line.add("cpu_wait", wait.share)
            try report(line)
        }
    }

    /// From a writer to a tailer in another process, which spins, or which sleeps.
    ///
    /// It sleeps as long as the other side of a futex does that is answered at once, or so long that its processor is
    /// asleep too: waking that one takes as long again.
    mutating func tail() throws {
        for size in recordBytes ?? [64] {
            for (mode, spins, count, interval) in [
                ("spin", true, 10_000, UInt64(50_000)), ("asleep", false, 10_000, 50_000),
                ("asleep_500us", false, 2_000, 500_000),
            ] {
                guard wants(mode) else { continue }
                let records = min(records ?? count, count)
                var delays: [[UInt64]] = []
                var wait = 0.0
                var sleeps: [Double] = []
                for _ in 0..<repetitions {
                    try Self.checkInterruption()
                    let log = try ground.newLog("tail")
                    let worker = try Worker(.tail(log: log.path.string, records: records, spins: spins))
                    try worker.begin()
                    try worker.awaitWaiting()
                    _ = bench_pin(1)
                    defer { _ = bench_pin(-1) }
                    var payload = [UInt8](repeating: 0, count: size)
                    var next = ThreadClock.now() + 1_000_000
                    for _ in 0..<records {
                        Self.pace(&next, interval)
                        let now = ThreadClock.now()
                        unsafe payload.withUnsafeMutableBytes { unsafe $0.storeBytes(of: now, as: UInt64.self) }
                        try log.append(payload)
                    }
                    let report = try worker.report()
                    delays.append(report.delays)
                    wait = max(wait, report.cpuWait)
                    sleeps.append(Double(report.sleeps) / Double(records))
                    try worker.end()
                    try log.close()
                    try ground.remove(log.path)
                }
                var line = BenchLine("tail", medium, mode, recordBytes: size)
                line.add(delays: delays)
                line.add("sleeps_per_record", Spread(sleeps).median)
                line.add("cpu_wait", wait)
                try report(line)
            }
        }
    }

    /// Spins up to a time, and sets the next one; what was missed isn't made up for.
    private static func pace(_ next: inout UInt64, _ interval: UInt64) {
        while ThreadClock.now() < next {}
        next = max(next + interval, ThreadClock.now())
    }
}
