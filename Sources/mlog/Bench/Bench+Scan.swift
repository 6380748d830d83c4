import MappedLog
import SystemPackage

extension Bench {
    /// Reads all records of sealed segments in order, checksums on: of raw ones, and of compacted ones, by turns.
    mutating func scan() throws {
        guard wantsAny(of: ["raw"] + blockSizes.map(Self.blockMode)) else { return }
        for size in recordBytes ?? [64, 1024] {
            let records = records ?? (512 << 20) / Self.frameSize(size)
            let (raw, sealed) = try ground.filledLog("raw", records: records, payloads: .text(size: size))
            var logs = [(what: "scan", mode: "raw", path: raw)]
            for blockSize in blockSizes where wants(Self.blockMode(blockSize)) {
                let path = ground.newPath("compacted")
                let options = CompactionOptions(blockSize: blockSize, jobs: 2)
                _ = try Maintenance.snapshot(at: raw, to: path, compaction: options)
                logs.append(("scan_compacted", Self.blockMode(blockSize), path))
            }
            var times = [[Double]](repeating: [], count: logs.count)
            var worst = [WorkerReport](repeating: WorkerReport(), count: logs.count)
            for _ in 0..<repetitions {
                for (index, log) in logs.enumerated() where wants(log.mode) {
                    let report = try Worker.run(.scan(log: log.path.string, count: sealed))
                    times[index].append(report.nanosecondsPerRecord)
                    worst[index].keepWorst(of: report)
                }
            }
            for (index, log) in logs.enumerated() where wants(log.mode) {
                var line = BenchLine(log.what, medium, log.mode, recordBytes: size)
                line.add(nanosecondsPerRecord: times[index], records: sealed)
                line.add(worst[index])
                try report(line)
            }
            for log in logs { try ground.remove(log.path) }
        }
    }
}
