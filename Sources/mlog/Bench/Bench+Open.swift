import Glibc
import MappedLog
import SystemPackage

extension Bench {
    /// Opens a log for tailing at its end, with two segments and with many, which is what is counted as records here;
    /// beside a bare listing of the directory.
    mutating func open() throws {
        let opens = 100
        let sizes = [2, max(3, min(records ?? 1000, BenchWork.open.mostRecords))]
        guard wantsAny(of: sizes.map { "segments_\($0).listing" }) else { return }
        var logs: [(mode: String, path: FilePath)] = []
        for count in sizes {
            let log = try ground.newLog("open", segmentSize: 64 << 10)
            let payload = [UInt8](repeating: 1, count: 30_000)
            // Two fill a segment.
            for _ in 0..<2 * count - 1 {
                try Self.checkInterruption()
                try log.append(payload)
            }
            try log.close()
            logs.append(("segments_\(count)", log.path))
        }
        var delays: [String: [[UInt64]]] = [:]
        let wait = CPUWait()
        for _ in 0..<repetitions {
            try Self.checkInterruption()
            for (mode, path) in logs {
                delays[mode, default: []].append(
                    try Self.delays(of: opens) { _ in
                        let log = try Log.openReadOnly(at: path)
                        var tailer = try log.tailer(from: .end)
                        guard try tailer.next() == nil else { throw CommandFailure("\(path): a record behind the end") }
                    }
                )
                delays[mode + ".listing", default: []].append(try Self.delays(of: opens) { _ in try Self.list(path) })
            }
        }
        for (mode, path) in logs {
            for mode in [mode, mode + ".listing"] where wants(mode) {
                var line = BenchLine("open", medium, mode, recordBytes: 30_000)
                line.add(delays: delays[mode, default: []])
                line.add("cpu_wait", wait.share)
                try report(line)
            }
            try ground.remove(path)
        }
    }

    /// Reads a directory's names, as whoever opens a log has to.
    private static func list(_ path: FilePath) throws {
        guard let directory = unsafe opendir(path.string) else {
            throw CommandFailure("\(path): \(Errno(rawValue: errno))")
        }
        defer { unsafe closedir(directory) }
        while unsafe readdir(directory) != nil {}
    }
}
