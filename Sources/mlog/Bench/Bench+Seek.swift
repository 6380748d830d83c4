import MappedLog
import SystemPackage

extension Bench {
    /// A million random seeks by sequence, over a log of raw segments and over the same one compacted, by turns.
    mutating func seek() throws {
        guard wantsAny(of: ["raw"] + blockSizes.map(Self.compactedMode)) else { return }
        let records = records ?? 10_000_000
        let seeks = max(1, seeks / repetitions)
        for size in recordBytes ?? [64] {
            let (raw, sealed) = try ground.filledLog("raw", records: records, payloads: .text(size: size))
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
                logs.append((Self.compactedMode(blockSize), compacted))
            }
            for _ in 0..<repetitions {
                for (mode, log) in logs where wants(mode) {
                    let report = try Worker.run(.seek(log: log.string, count: seeks, below: sealed))
                    times[mode, default: []].append(report.nanosecondsPerRecord)
                    worst[mode, default: WorkerReport()].keepWorst(of: report)
                }
            }
            for (mode, log) in logs {
                try ground.remove(log)
                guard let measured = times[mode] else { continue }
                var line = BenchLine("seek", medium, mode, recordBytes: size)
                line.add(nanosecondsPerRecord: measured, records: seeks)
                line.add("log_records", Double(sealed))
                if let raw = times["raw"] { line.add("ratio_to_raw", Spread(measured).median / Spread(raw).median) }
                line.add(worst[mode, default: WorkerReport()])
                try report(line)
            }
        }
    }

    private static func compactedMode(_ blockSize: UInt64) -> String {
        "compacted.\(blockMode(blockSize))"
    }
}

extension BenchLine {
    mutating func add(_ report: WorkerReport) {
        add("peak_anonymous_bytes", Double(report.peakAnonymousBytes))
        add("peak_resident_bytes", Double(report.peakResidentBytes))
        add("cpu_wait", report.cpuWait)
    }
}
