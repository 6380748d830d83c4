import MappedLog
import SystemPackage

/// What must be so when a worker has done everything once (`script`), whatever failed meanwhile: the log opens, and
/// all that was acknowledged is there, but for what retention may have removed.
struct ScriptCheck {
    let board: Board
    let log: FilePath
    let copy: FilePath
    /// No script appends more records.
    private static let largestScript = 200

    init(board: Board, log: FilePath, copy: FilePath) {
        self.board = board
        self.log = log
        self.copy = copy
    }

    func run() throws {
        let path = log
        let log =
            try board[1, .acknowledged] == 0
            ? Log.openOrCreate(at: path, options: LogOptions(segmentSize: 64 << 10)) : Log.open(at: path)
        var tailer = try log.tailer()
        var sequence = tailer.sequence
        // A named tailer that protects had been there.
        guard sequence <= board[0, .read] else {
            throw Refuted("\(sequence) was removed though a named tailer needs it")
        }
        let first = sequence
        var seen: [UInt64] = []
        while let record = try tailer.next() {
            guard let name = RecordName(record), record.sequence == sequence else { throw Refuted("a wrong record") }
            if let last = seen.last, name.counter <= last { throw Refuted("\(name) behind \(last)") }
            seen.append(name.counter)
            sequence += 1
        }
        let acknowledged = (0..<UInt64(Self.largestScript)).filter { board[1 + Int($0), .acknowledged] == 1 }
        let missing = Set(acknowledged).subtracting(seen).sorted()
        // Those before the first that is left, retention may have removed.
        let removed = missing.prefix { $0 < seen.first ?? .max }
        guard missing.count == removed.count, removed.count <= first else {
            throw Refuted("\(missing) were acknowledged and are gone; the log begins at sequence \(first)")
        }
        try log.append([UInt8].record(writer: 9, counter: 0, byteCount: 40))
        try log.close()
        let report = try Maintenance.verify(at: path)
        guard report.isWhole else { throw Refuted("damage: \(report.findings)") }
        if board[.signal] == 1, try !Maintenance.verify(at: copy).isWhole { throw Refuted("the copy isn't whole") }
    }
}
