import ArgumentParser
import FoundationEssentials
import MappedLog
import SystemPackage

/// `mlog bench`: measures what the log does on this machine.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the log on this machine.",
        discussion: """
            Each kind of work is repeated on new logs, in a directory of its own that goes away afterwards; medians \
            count. Times of two machines, or of two days, say nothing beside each other: compare within one run. A line \
            whose cpu_wait is above 0.02 measures the neighbours. What compact takes is compared with the program lz4, which \
            has to be on the PATH.

            Examples:
              mlog bench append --dir /var/tmp --plot append.svg
              mlog bench tail --medium shm
              mlog bench compact --block-size 64KiB --json
            """
    )

    @Argument(help: "What to measure: \(BenchWork.names) or all.")
    var work: BenchSelection = .all

    @Option(help: "Where to make the logs.", completion: .directory)
    var dir = "."

    @Option(help: "Where logs live: \(BenchMedium.allCases.map(\.rawValue).joined(separator: ", ")).")
    var medium = BenchMedium.file

    @Option(help: ArgumentHelp("How many records; each kind of work has its own default.", valueName: "count"))
    var records: Int?

    @Option(help: ArgumentHelp("How many records to look up, in all repetitions together.", valueName: "count"))
    var seeks = 1_000_000

    @Option(help: ArgumentHelp("How large records are; may be repeated.", valueName: "bytes"))
    var recordBytes: [Int] = []

    @Option(help: ArgumentHelp("How often to repeat; the median counts.", valueName: "count"))
    var repetitions = 5

    @Option(help: ArgumentHelp("Measure only modes with this in their name, if there are several.", valueName: "text"))
    var mode = ""

    @Option(help: "The size of segments.")
    var segmentSize = ByteSize(bytes: 64 << 20)

    @Option(help: "The block size of compacted segments; may be repeated.")
    var blockSize: [ByteSize] = [ByteSize(bytes: 256 << 10)]

    @Option(help: "The levels of compaction; may be repeated.")
    var level: [Int] = [1, 3, 9, 12]

    @Flag(help: "Leave the logs there; those in memory are named on standard error.")
    var keep = false

    @Option(help: "Draw throughput by record size and delays by percentile, as SVG.", completion: .file())
    var plot: String?

    @Flag(help: "Print JSON, one object a line.")
    var json = false

    func validate() throws {
        if case .one(let work) = work, !medium.works.contains(work) {
            let name = work.rawValue
            throw ValidationError("\(name) measures what is done to files: leave out --medium \(medium.rawValue)")
        }
        // Of all kinds each takes what it can.
        let most = work.works.map(\.mostRecords).max() ?? 1
        guard (1...most).contains(records ?? 1) else { throw ValidationError("--records is 1 to \(most)") }
        guard recordBytes.allSatisfy({ (8...65536).contains($0) }) else {
            throw ValidationError("--record-bytes is 8 to 65536")
        }
        guard (1...100_000_000).contains(seeks) else { throw ValidationError("--seeks is 1 to 100000000") }
        guard plot == nil || work.works.contains(where: \.isDrawn) else {
            let drawn = BenchWork.allCases.filter(\.isDrawn).map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--plot draws \(drawn)")
        }
        guard (1...1000).contains(repetitions) else { throw ValidationError("--repetitions is 1 to 1000") }
        try blockSize.forEach { try $0.checkBlockSize() }
        guard level.allSatisfy({ (1...12).contains($0) }) else { throw ValidationError("--level is 1 to 12") }
    }

    func run() throws {
        Interruption.watch()
        // Before minutes are spent on what can't be done, or kept.
        if mode.isEmpty, work.works.contains(.compact), medium.works.contains(.compact) { try Bench.checkLZ4() }
        let picture = try plot.map(PictureFile.init)
        var lines: [BenchLine] = []
        do {
            try measure(&lines)
        } catch {
            // What was measured before is worth a picture all the same.
            let drawing = Plot(lines)
            if drawing.isEmpty { picture?.giveUp() } else { try picture?.write(drawing) }
            throw error
        }
        try picture?.write(Plot(lines))
    }

    /// Measures, and tells what was measured also where it then throws.
    private func measure(_ lines: inout [BenchLine]) throws {
        let ground = try BenchGround(medium, in: FilePath(dir), segmentSize: segmentSize.bytes, isKept: keep)
        var bench = Bench(
            ground: ground,
            records: records,
            seeks: seeks,
            recordBytes: recordBytes.isEmpty ? nil : recordBytes,
            repetitions: repetitions,
            mode: mode,
            levels: level,
            blockSizes: blockSize.map(\.bytes),
            json: json
        )
        defer { lines = bench.lines }
        for work in work.works where medium.works.contains(work) {
            try Bench.checkInterruption()
            try bench.run(work)
        }
        try Bench.checkInterruption()
        if !mode.isEmpty, bench.lines.isEmpty {
            throw CommandFailure("no mode contains \"\(mode)\"; without --mode all are measured, and named")
        }
        if plot != nil, Plot(bench.lines).isEmpty {
            throw CommandFailure("nothing to draw: no result has a throughput by record size, or percentiles")
        }
    }
}
