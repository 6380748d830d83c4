import MappedLog

extension Bench {
    /// Bytes of frames that are appended without a pause, within what is populated ahead: a little more than half of it,
    /// where the background thread begins, which so does its work in the pauses.
    static let burst = (8 << 20) + (128 << 10)
    /// Records, or batches' records, between two looks at whether the user wants it to end.
    private static let unasked = 1_000_000
    /// Enough for the background thread to populate that again.
    static let pause: UInt64 = 40_000_000

    /// Appends one by one: with pages that are there already, and without a pause.
    mutating func append() throws {
        for size in recordBytes ?? [64, 1024, 4096] {
            let records = records ?? (256 << 20) / Self.frameSize(size)
            let payloads = Payloads.random(size: size)
            try appending("append", "single.populated", size, records, pauses: true) { log, range in
                try payloads.append(range, to: log)
            }
            try appending("append", "single.sustained", size, records, pauses: false) { log, range in
                try payloads.append(range, to: log)
            }
        }
    }

    /// Appends batches of 100.
    mutating func batch() throws {
        for size in recordBytes ?? [64, 1024, 4096] {
            let records = records ?? (256 << 20) / Self.frameSize(size)
            let batch = Payloads.random(size: size).batch(100)
            for mode in ["populated", "sustained"] {
                let records = max(100, records / 100 * 100)
                let pauses = mode == "populated"
                try appending("append_batch", "batch100.\(mode)", size, records, pauses: pauses) { log, range in
                    for _ in 0..<range.count / 100 { try log.append(batch: batch) }
                }
            }
        }
    }

    /// Times `body`, which appends records of the numbers it gets: all in one go, or as many at a time as are populated ahead,
    /// with a pause before each that isn't counted, and neither is its first half: behind a pause a processor takes a
    /// millisecond of appends until it is as fast as before (`spec/tuning.md`), and it is one that goes on that is measured.
    private mutating func appending(
        _ what: String,
        _ mode: String,
        _ size: Int,
        _ records: Int,
        pauses: Bool,
        _ body: (Log, Range<Int>) throws -> Void
    ) throws {
        guard wants(mode) else { return }
        let burst = pauses ? max(200, Self.burst / Self.frameSize(size) / 200 * 200) : records
        let uncounted = min(burst, records) / 200 * 100
        var (times, timesBehindPauses): ([Double], [Double]) = ([], [])
        var worst = WorkerReport()
        var counted = 0
        for _ in 0..<repetitions {
            let memory = ProcessMemory()
            let log = try ground.newLog("append")
            let wait = CPUWait()
            var (going, behindPauses) = (Timed(), Timed())
            for first in stride(from: 0, to: records, by: burst) {
                let end = min(records, first + burst)
                var start = first
                if pauses {
                    ThreadClock.spin(until: ThreadClock.now() + Self.pause)
                    start = min(end, first + uncounted)
                    try behindPauses.time(first..<start) { try body(log, $0) }
                }
                try going.time(start..<end) { try body(log, $0) }
            }
            times.append(going.nanosecondsPerRecord)
            if behindPauses.count > 0 { timesBehindPauses.append(behindPauses.nanosecondsPerRecord) }
            counted = going.count
            worst.keepWorst(of: WorkerReport(cpuWait: wait.share, peakResidentBytes: memory.peakResident))
            try log.close()
            try ground.remove(log.path)
        }
        var line = BenchLine(what, medium, mode, recordBytes: size)
        line.add(nanosecondsPerRecord: times, records: counted)
        if !timesBehindPauses.isEmpty { line.add("ns_behind_pause", Spread(timesBehindPauses).median) }
        line.add("peak_resident_bytes", Double(worst.peakResidentBytes))
        line.add("cpu_wait", worst.cpuWait)
        try report(line)
    }

    /// Records that were appended, and how long that took.
    private struct Timed {
        var count = 0
        var nanoseconds: UInt64 = 0

        var nanosecondsPerRecord: Double { Double(nanoseconds) / Double(count) }

        /// Asks now and then whether the user wants it to end.
        mutating func time(_ records: Range<Int>, _ body: (Range<Int>) throws -> Void) throws {
            let start = ThreadClock.now()
            for first in stride(from: records.lowerBound, to: records.upperBound, by: Bench.unasked) {
                try Bench.checkInterruption()
                try body(first..<min(records.upperBound, first + Bench.unasked))
            }
            nanoseconds += ThreadClock.now() - start
            count += records.count
        }
    }

    /// What a record takes in a segment.
    static func frameSize(_ recordBytes: Int) -> Int {
        (24 + recordBytes + 7) & ~7
    }
}
