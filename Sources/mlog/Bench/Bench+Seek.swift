import MappedLog
import SystemPackage

extension Bench {
    /// A million random seeks by sequence, over a log of raw segments and over the same one compacted, by turns.
    mutating func seek() throws {
        let records = records ?? 10_000_000
        let seeks = max(1, seeks / repetitions)
        for size in recordBytes ?? [64] {
            let raw = try ground.filledLog("raw", records: records, payloads: .text(size: size))
            var times: [String: [Double]] = [:]
            var worst: [String: WorkerReport] = [:]
            var logs = [("raw", raw)]
            for blockSize in blockSizes {
                let compacted = ground.newPath("compacted")
                _ = try Maintenance.snapshot(
                    at: raw,
                    to: compacted,
                    compaction: CompactionOptions(blockSize: blockSize, jobs: 2)
                )
                logs.append(("compacted.block_\(blockSize >> 10)KiB", compacted))
            }
            for _ in 0..<repetitions {
                for (mode, log) in logs {
                    let worker = try Worker(.seek(log: log.string, count: seeks))
                    try worker.go()
                    let report = try worker.report()
                    times[mode, default: []].append(report.nanoseconds / Double(seeks))
                    worst[mode, default: WorkerReport()].keepWorst(of: report)
                }
            }
            let reference = Spread(times["raw", default: [1]]).median
            for (mode, log) in logs {
                var line = BenchLine(.seek, medium, mode, recordBytes: size)
                line.add(nanosecondsPerRecord: times[mode, default: []], records: seeks)
                line.add("log_records", Double(records))
                line.add("ratio_to_raw", Spread(times[mode, default: []]).median / reference)
                line.add(worst[mode, default: WorkerReport()])
                try report(line)
                try ground.remove(log)
            }
        }
    }
}

extension WorkerReport {
    /// Of several runs the most memory and the longest wait.
    mutating func keepWorst(of other: WorkerReport) {
        cpuWait = max(cpuWait, other.cpuWait)
        peakAnonymousBytes = max(peakAnonymousBytes, other.peakAnonymousBytes)
        peakResidentBytes = max(peakResidentBytes, other.peakResidentBytes)
    }
}

extension BenchLine {
    mutating func add(_ report: WorkerReport) {
        add("peak_anonymous_bytes", Double(report.peakAnonymousBytes))
        add("peak_resident_bytes", Double(report.peakResidentBytes))
        add("cpu_wait", report.cpuWait)
    }
}
