/// What a run of `mlog bench` measures with, and where its results go.
struct Bench: ~Copyable {
    let ground: BenchGround
    let records: Int?
    let seeks: Int
    let recordBytes: [Int]?
    let repetitions: Int
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
        levels: [Int],
        blockSizes: [UInt64],
        json: Bool
    ) {
        self.ground = ground
        self.records = records
        self.seeks = seeks
        self.recordBytes = recordBytes
        self.repetitions = repetitions
        self.levels = levels
        self.blockSizes = blockSizes
        self.json = json
    }

    var medium: String { ground.medium }

    mutating func run(_ work: BenchWork) throws {
        let first = lines.count
        switch work {
        case .seek: try seek()
        case .compact: try compact()
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
