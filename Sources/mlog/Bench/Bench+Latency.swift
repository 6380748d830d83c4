import MappedLog
import SystemPackage
import _CBench

extension Bench {
    /// How long a single append takes, paced at 100,000 a second.
    mutating func latency() throws {
        guard wants("paced_100000_per_s") else { return }
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
    mutating func tail() throws {
        for size in recordBytes ?? [64] {
            try tailSpinning(size)
            // As long as the other side of a futex sleeps that is answered at once, or so long that its processor is
            // asleep too: waking that one takes as long again.
            for (mode, count, interval) in [("asleep", 10_000, UInt64(50_000)), ("asleep_500us", 2_000, 500_000)] {
                try tailAsleep(size, mode, min(records ?? count, BenchWork.tail.mostRecords), interval)
            }
        }
    }

    /// Half of a round trip: each of two processes appends to one log and tails the other's.
    private mutating func tailSpinning(_ size: Int) throws {
        guard wants("spin") else { return }
        let records = min(records ?? 100_000, BenchWork.tail.mostRecords)
        let warmUp = records / 10
        var delays: [[UInt64]] = []
        var wait = 0.0
        for _ in 0..<repetitions {
            try Self.checkInterruption()
            let (log, answers) = (try ground.newLog("tail"), try ground.newLog("answers"))
            let all = records + warmUp
            let worker = try Worker(.answer(log: log.path.string, answers: answers.path.string, records: all))
            try worker.begin()
            try worker.awaitWaiting()
            _ = bench_pin(1)
            defer { _ = bench_pin(-1) }
            let payload = [UInt8](repeating: 1, count: size)
            var tailer = try answers.tailer(from: .end)
            var halves: [UInt64] = []
            halves.reserveCapacity(records)
            var last = ThreadClock.now()
            for index in 0..<all {
                try log.append(payload)
                try tailer.spin { _ in }
                let now = ThreadClock.now()
                if index >= warmUp { halves.append((now - last) / 2) }
                last = now
            }
            delays.append(halves)
            wait = max(wait, try worker.report().cpuWait)
            try worker.end()
            for log in [log, answers] {
                try log.close()
                try ground.remove(log.path)
            }
        }
        var line = BenchLine("tail", medium, "spin", recordBytes: size)
        line.add(delays: delays)
        line.add("cpu_wait", wait)
        try report(line)
    }

    /// From the append, whose time the record carries, to its being seen by a tailer that slept; those that found it awake
    /// don't count.
    private mutating func tailAsleep(_ size: Int, _ mode: String, _ records: Int, _ interval: UInt64) throws {
        guard wants(mode) else { return }
        var delays: [[UInt64]] = []
        var wait = 0.0
        var sleeps: [Double] = []
        var vain = 0
        while delays.count < repetitions {
            try Self.checkInterruption()
            let log = try ground.newLog("tail")
            let worker = try Worker(.tail(log: log.path.string, records: records))
            try worker.begin()
            try worker.awaitWaiting()
            _ = bench_pin(1)
            defer { _ = bench_pin(-1) }
            var payload = [UInt8](repeating: 0, count: size)
            var next = ThreadClock.now() + 1_000_000
            for index in 0..<records {
                if index % 1024 == 0 { try Self.checkInterruption() }
                Self.pace(&next, interval)
                let now = ThreadClock.now()
                unsafe payload.withUnsafeMutableBytes { unsafe $0.storeBytes(of: now, as: UInt64.self) }
                try log.append(payload)
            }
            let report = try worker.report()
            try worker.end()
            try log.close()
            try ground.remove(log.path)
            // On a busy machine both may come too late for that.
            if report.delays.isEmpty {
                vain += 1
                guard vain < 10 else {
                    throw CommandFailure("no record found the tailer asleep; give more with --records")
                }
                continue
            }
            delays.append(report.delays)
            wait = max(wait, report.cpuWait)
            sleeps.append(Double(report.sleeps) / Double(records))
        }
        var line = BenchLine("tail", medium, mode, recordBytes: size)
        line.add(delays: delays)
        line.add("sleeps_per_record", Spread(sleeps).median)
        line.add("cpu_wait", wait)
        try report(line)
    }

    /// Spins up to a time, and sets the next one; what was missed isn't made up for.
    private static func pace(_ next: inout UInt64, _ interval: UInt64) {
        while ThreadClock.now() < next {}
        next = max(next + interval, ThreadClock.now())
    }
}
