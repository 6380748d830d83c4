import FoundationEssentials
import MappedLog
import SystemPackage

extension Bench {
    /// Compacts a log, and lets the program `lz4` compress the same segments with the same settings, by turns.
    mutating func compact() throws {
        let settings = blockSizes.flatMap { blockSize in levels.map { (level: $0, blockSize: blockSize) } }
            .filter { wants(Self.programMode($0.level, $0.blockSize)) }
        guard !settings.isEmpty else { return }
        let records = records ?? 4_000_000
        try Self.checkLZ4()
        for size in recordBytes ?? [64] {
            let (raw, sealed) = try ground.filledLog("raw", records: records, payloads: .text(size: size))
            for (level, blockSize) in settings {
                try compact(raw, sealed, level, blockSize, recordBytes: size)
            }
            try ground.remove(raw)
        }
    }

    private mutating func compact(
        _ raw: FilePath,
        _ records: Int,
        _ level: Int,
        _ blockSize: UInt64,
        recordBytes: Int
    ) throws {
        var times: (product: [Double], program: [Double]) = ([], [])
        var sizes: (product: UInt64, program: UInt64) = (0, 0)
        var bytes: UInt64 = 0
        let wait = CPUWait()
        for _ in 0..<repetitions {
            try Self.checkInterruption()
            let copy = ground.newPath("copy")
            _ = try Maintenance.snapshot(at: raw, to: copy)
            // Used once: where a log ends needs no search then.
            try Log.open(at: copy).close()
            let sealed = try Self.sealedSegments(of: copy)
            // As many at a time as `mlog compact` takes.
            let options = CompactionOptions(level: level, blockSize: blockSize, jobs: 2)
            // The program first: it leaves what it reads.
            let target = ground.newPath("lz4")
            try FileManager.default.createDirectory(atPath: target.string, withIntermediateDirectories: false)
            for name in sealed {
                let link = target.appending(name).string
                try FileManager.default.linkItem(atPath: copy.appending(name).string, toPath: link)
            }
            times.program.append(try Self.runLZ4(level, blockSize, in: target, sealed))
            sizes.program = try sealed.reduce(0) { try $0 + Self.byteCount(target.appending($1 + ".lz4")) }
            try FileManager.default.removeItem(atPath: target.string)

            let start = ThreadClock.now()
            let report = try Compactor.compact(at: copy, options: options)
            times.product.append(Double(ThreadClock.now() - start))
            guard report.segments.count == sealed.count else {
                throw CommandFailure("\(copy): \(report.segments.count) of \(sealed.count) segments were compacted")
            }
            sizes.product = report.bytesAfter
            bytes = report.bytesBefore
            try ground.remove(copy)
        }
        let mode = Self.compactMode(level, blockSize)
        let program = (time: Spread(times.program).median, size: Double(sizes.program))
        for (name, figures, size) in [
            (mode, times.product, sizes.product),
            (Self.programMode(level, blockSize), times.program, sizes.program),
        ] where wants(name) {
            var line = BenchLine("compact", medium, name, recordBytes: recordBytes)
            line.add(nanosecondsPerRecord: figures.map { $0 / Double(records) }, records: records)
            line.add("bytes", Double(bytes))
            line.add("ratio", Double(bytes) / Double(size))
            line.add("time_to_lz4_program", Spread(figures).median / program.time)
            line.add("size_to_lz4_program", Double(size) / program.size)
            line.add("cpu_wait", wait.share)
            try report(line)
        }
    }

    /// - Throws: where the program isn't there that a compaction is compared with.
    static func checkLZ4() throws {
        do {
            try SpawnedProcess(["lz4", "--version"], called: "lz4").end()
        } catch let failure as CommandFailure {
            throw CommandFailure("\(failure); compact is compared with the program lz4: install it, or name other work")
        }
    }

    private static func compactMode(_ level: Int, _ blockSize: UInt64) -> String {
        "level_\(level).\(blockMode(blockSize))"
    }

    /// Of the program's line; whoever wants the log's wants it too, which is compared with it.
    private static func programMode(_ level: Int, _ blockSize: UInt64) -> String {
        "\(compactMode(level, blockSize)).lz4_program"
    }

    /// The names of the raw segments that a compaction takes.
    private static func sealedSegments(of log: FilePath) throws -> [String] {
        let report = try Compactor.compact(at: log, options: CompactionOptions(isDryRun: true))
        return report.segments.compactMap { FilePath($0.file).lastComponent?.string }
            .map { $0.hasSuffix(".lz4") ? String($0.dropLast(4)) : $0 }
    }

    /// The nanoseconds that the program takes.
    private static func runLZ4(_ level: Int, _ blockSize: UInt64, in directory: FilePath, _ names: [String]) throws
        -> Double
    {
        let blockID = (blockSize.trailingZeroBitCount - 16) / 2 + 4
        let files = names.map { directory.appending($0).string }
        let arguments = ["lz4", "-q", "-f", "-\(level)", "-B\(blockID)", "-BX", "--content-size", "-m"] + files
        let start = ThreadClock.now()
        try SpawnedProcess(arguments, called: "lz4").end()
        return Double(ThreadClock.now() - start)
    }

    private static func byteCount(_ path: FilePath) throws -> UInt64 {
        let file = try FileDescriptor.open(path, .readOnly)
        return try file.closeAfter { UInt64(try file.seek(offset: 0, from: .end)) }
    }
}
