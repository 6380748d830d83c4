public import ArgumentParser
import MappedLog
public import MappedLogTestSupport
import SystemPackage
import _CTestSupport

extension TracedOperation: ExpressibleByArgument {}

/// Does one thing between two marks.
struct Operate: ParsableCommand {
    @Option var log: String
    @Option var operation: TracedOperation
    /// The counter of its first record.
    @Option var counter: UInt64
    /// Where a snapshot goes.
    @Option var destination = ""

    /// Where the same is done once before, without marks, so that nothing is done for the first time between them.
    @Option var rehearsal = ""

    func run() throws {
        if !rehearsal.isEmpty {
            let path = FilePath(rehearsal)
            if operation != .create { try Self.makeLog(at: path) }
            try perform(at: path, to: path.removingLastComponent().appending("rehearsed-snapshot"), marks: false)
        }
        try perform(at: FilePath(log), to: FilePath(destination), marks: true)
    }

    /// A log of three segments; the active one has room for one record.
    private static func makeLog(at path: FilePath) throws {
        let options = LogOptions(segmentSize: TracedOperation.segmentSize, durability: .never)
        let log = try Log.create(at: path, options: options)
        let large = log.maximumRecordSize
        for counter in 0..<UInt64(3) { try log.append([UInt8].record(writer: 0, counter: counter, byteCount: large)) }
        try log.close()
    }

    private func perform(at path: FilePath, to destination: FilePath, marks: Bool) throws {
        func between<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
            if marks { test_mark() }
            let result = try body()
            if marks { test_mark() }
            return result
        }
        switch operation {
        case .create:
            let options = LogOptions(segmentSize: TracedOperation.segmentSize, durability: .never)
            return try between { try Log.create(at: path, options: options) }.close()
        case .open: return try between { try Log.open(at: path) }.close()
        case .compact: return try between { _ = try Compactor.compact(at: path) }
        case .restore: return try between { _ = try Compactor.restore(at: path) }
        case .retain: return try between { _ = try Maintenance.retain(at: path, rule: Retention(segments: 2)) }
        case .snapshot: return try between { _ = try Maintenance.snapshot(at: path, to: destination) }
        case .commit:
            let log = try Log.openReadOnly(at: path)
            var tailer = try log.tailer(named: TracedOperation.tailerName)
            while try tailer.next() != nil {}
            if marks { test_mark() }
            try tailer.commit()
            if marks { test_mark() }
            return
        default: break
        }
        let durability: Durability = operation == .flushedAppend ? .everyAppend : .never
        let log = try Log.open(at: path, opening: OpenOptions(durability: durability))
        switch operation {
        case .sync:
            try log.append(payload(0))
            try between { try log.sync() }
        case .close:
            try log.append(payload(0))
            try between { try log.close() }
        case .batch:
            let payloads = (0..<operation.recordCount).map { payload(UInt64($0)) }
            try between { _ = try log.append(batch: payloads) }
        case .inPlace:
            let payload = payload(0)
            try between {
                _ = try log.append(reserving: payload.count + 40) { output in
                    for byte in payload { unsafe output.append(byte, as: UInt8.self) }
                }
            }
        default:
            let payload = payload(0)
            try between { _ = try log.append(payload) }
        }
        try log.close()
    }

    private func payload(_ number: UInt64) -> [UInt8] {
        .record(writer: TracedOperation.writer, counter: counter + number, largest: TracedOperation.largestPayload)
    }
}
