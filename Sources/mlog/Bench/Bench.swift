/// What a run of `mlog bench` measures with, and where its results go.
struct Bench: ~Copyable {
    let ground: BenchGround
    let records: Int?
    let seeks: Int
    let recordBytes: [Int]?
    let repetitions: Int
    let mode: String
    let levels: [Int]
    let blockSizes: [UInt64]
    private let json: Bool
    private(set) var lines: [BenchLine] = []

    init(
        ground: BenchGround,
        records: Int?,
        seeks: Int,
        recordBytes: [Int]?,
        repetitions: Int,
        mode: String,
        levels: [Int],
        blockSizes: [UInt64],
        json: Bool
    ) {
        self.ground = ground
        self.records = records
        self.seeks = seeks
        self.recordBytes = recordBytes
        self.repetitions = repetitions
        self.mode = mode
        self.levels = levels
        self.blockSizes = blockSizes
        self.json = json
    }

    var medium: String { ground.medium.rawValue }

    func wants(_ mode: String) -> Bool {
        self.mode.isEmpty || mode.contains(self.mode)
    }

    /// Asked before logs are filled for nothing.
    func wantsAny(of modes: [String]) -> Bool {
        for mode in modes where wants(mode) { return true }
        return false
    }

    /// What compacted segments of this block size are called in a mode.
    static func blockMode(_ blockSize: UInt64) -> String {
        "block_\(blockSize >> 10)KiB"
    }

    mutating func run(_ work: BenchWork) throws {
        let first = lines.count
        switch work {
        case .append: try append()
        case .batch: try batch()
        case .concurrent: try concurrent()
        case .durable: try durable()
        case .group: try groupCommit()
        case .scan: try scan()
        case .tail: try tail()
        case .latency: try latency()
        case .seek: try seek()
        case .compact: try compact()
        case .open: try open()
        }
        if !json { try BenchTable.print(lines[first...]) }
    }

    /// A result is told at once where programs read, since a run takes minutes.
    mutating func report(_ line: BenchLine) throws {
        lines.append(line)
        if json { try JSONReport.printLine(line) }
    }

    /// Throws where the user wants it to end.
    static func checkInterruption() throws {
        if let signal = Interruption.signal { throw Interrupted(signal: signal) }
    }
}
