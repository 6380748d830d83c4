import Foundation
import MappedLog
public import SystemPackage
import _CTestSupport

/// Something that was promised isn't so.
public struct Refuted: Error, CustomStringConvertible {
    /// What.
    public let description: String

    /// Creates the statement.
    public init(_ description: String) { self.description = description }
}

/// A log whose writers are killed one after the other, a tailer that follows it all the while, and what must be in it.
public final class KillScene {
    private let directory: TemporaryDirectory
    /// Where the log is.
    public let log: FilePath
    /// A writer beside the killed ones; nil: whoever is killed was alone, and the next writer recovers.
    private let survivor: Log?
    private let reading: Log
    private var follower: Tailer
    private let sleeper: Sleeper
    private let state: SharedState
    private var ownCounter: UInt64 = 0
    private var victimCounter: UInt64 = 0
    private var committedPlace: UInt64 = 0
    private var snapshots = 0
    private var rehearsals = 0
    /// Every record in the order in which the follower saw it.
    private var history: [RecordName] = []

    private static let ownWriter: UInt32 = 0
    private static let opening = OpenOptions(durability: .never)

    /// Creates the log.
    public init(hasSurvivor: Bool) throws {
        directory = try TemporaryDirectory(inMemory: true)
        log = directory.path.appending("log")
        let options = LogOptions(segmentSize: TracedOperation.segmentSize, durability: .never)
        let created = try Log.create(at: log, options: options)
        survivor = hasSurvivor ? created : nil
        if !hasSurvivor { try created.close() }
        reading = try Log.openReadOnly(at: log)
        follower = try reading.tailer()
        state = try SharedState(of: log)
        sleeper = try Sleeper(log, state)
    }

    deinit { sleeper.end() }

    // MARK: A victim

    /// Starts a worker that is about to do something, and waits for its first mark.
    ///
    /// - Parameters:
    ///   - operation: What it is to do.
    ///   - isSecond: Whether another was started, and may append its records first.
    /// - Throws: Where it can't be started.
    /// - Returns: The process, at its first mark.
    public func victim(_ operation: TracedOperation, isSecond: Bool = false) throws -> TracedProcess {
        let counter = victimCounter + (isSecond ? 100 : 0)
        rehearsals += 1
        let rehearsal = directory.path.appending("rehearsal-\(rehearsals)")
        try FileManager.default.createDirectory(atPath: rehearsal.string, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: rehearsal.string) }
        return try TracedProcess(
            [
                builtProgram("MappedLogTestWorker").string, "operate", "--log",
                (operation == .create ? created : log).string, "--operation",
                operation.rawValue, "--counter", "\(counter)", "--destination", snapshot.string,
                "--rehearsal", rehearsal.appending("log").string,
            ],
            watching: log
        )
    }

    /// Of the last victim that created one.
    private var created: FilePath { directory.path.appending("created-\(rehearsals)") }
    private var snapshot: FilePath { directory.path.appending("snapshot-\(snapshots)") }

    /// Brings the log into the state that an operation needs.
    public func prepare(_ operation: TracedOperation) throws {
        switch operation {
        case .roll: try withWriter { log in try fillSegment(log) }
        case .compact, .restore, .retain, .snapshot:
            try withWriter { log in
                for _ in 0..<2 {
                    try fillSegment(log)
                    try append(log, byteCount: 200)
                }
                try log.sync()
            }
            if operation == .restore { _ = try Compactor.compact(at: log) }
            try follow(upTo: nil, victims: [])
        case .commit: try withWriter { log in try append(log, byteCount: 100) }
        default: break
        }
    }

    private func withWriter(_ body: (Log) throws -> Void) throws {
        if let survivor { return try body(survivor) }
        let log = try Log.open(at: log, opening: Self.opening)
        try body(log)
        try log.close()
    }

    /// Appends until so few bytes are left in the active segment that no record of a victim fits.
    private func fillSegment(_ log: Log) throws {
        let first = 4096
        let end = first + log.maximumRecordSize
        while true {
            let offset = Int(try log.endPosition.rawValue % log.segmentSize)
            let left = end - offset
            if left < 24 { return }
            try append(log, byteCount: min(left, 8000))
        }
    }

    @discardableResult
    private func append(_ log: Log, byteCount: Int) throws -> RecordName {
        let name = RecordName(writer: Self.ownWriter, counter: ownCounter)
        try log.append([UInt8].record(writer: name.writer, counter: name.counter, byteCount: byteCount))
        ownCounter += 1
        return name
    }

    // MARK: What must be so afterwards

    /// Goes on with the log, and checks what the killed processes left.
    ///
    /// - Parameters:
    ///   - operations: What the victims were at, in the order in which they began.
    ///   - done: Whether each had done all of it.
    /// - Throws: ``Refuted``.
    public func settle(_ operations: [TracedOperation], done: [Bool]) throws {
        let last = operations[operations.count - 1]
        if last == .create { return try checkCreated(isDone: done[0]) }
        let isDone = done[done.count - 1]
        var own: RecordName?
        // What a dead one committed and told nobody of.
        try sleeper.expect(upTo: reading.nextSequence)
        try withWriter { log in
            // Before anybody has repaired anything; and behind that.
            try sync(log)
            try sleeper.expectWake(by: "a repair", if: { state.isAppendLockOfDead }) { try refuse(log) }
            own = try sleeper.expectWake(by: "an append") { try append(log, byteCount: 64) }
            try sync(log)
        }
        var groups: [Group] = []
        for (number, operation) in operations.enumerated() {
            let first = victimCounter + UInt64(100 * number)
            // What `sync` and `close` appended had returned before the kill.
            let before: UInt64 = operation == .sync || operation == .close ? 1 : 0
            let count = before + UInt64(operation.recordCount)
            if count == 0 { continue }
            let names = (first..<first + count).map { RecordName(writer: TracedOperation.writer, counter: $0) }
            groups.append(Group(names: names, mustBeThere: before == 1 || done[number]))
        }
        victimCounter += 1000
        try follow(upTo: own, victims: groups)
        switch last {
        case .compact, .restore, .retain, .snapshot: try finishHousekeeping(last)
        default: break
        }
        if last == .commit { try checkPlace(isDone: isDone) }
        if last == .snapshot { try checkSnapshot(isDone: isDone) }
    }

    /// What a killed one left undone is done by the next; and few segments are left, so that each has the same to do.
    private func finishHousekeeping(_ operation: TracedOperation) throws {
        if operation != .retain { _ = try Compactor.compact(at: log) }
        _ = try Maintenance.retain(at: log, rule: Retention(segments: 2))
        let names = try FileManager.default.contentsOfDirectory(atPath: log.string)
        if operation == .compact, let leftover = names.first(where: { $0.hasPrefix(".tmp-compact-") }) {
            throw Refuted("\(leftover) was left behind")
        }
        let forms = names.filter { $0.contains(".mlog") }.map { $0.prefix(16) }
        if Set(forms).count != forms.count { throw Refuted("both forms of a segment were left: \(names)") }
    }

    /// What was visible before is durable afterwards.
    private func sync(_ log: Log) throws {
        let visible = try log.endPosition
        try log.sync()
        guard try log.durablePosition >= visible else { throw Refuted("sync() left the end not durable") }
    }

    /// An append that takes the lock, and comes to nothing.
    private func refuse(_ log: Log) throws {
        struct Refusal: Error {}
        let fill: (inout OutputRawSpan) throws -> Void = { _ in throw Refusal() }
        guard (try? log.append(reserving: 8, fill)) == nil else {
            throw Refuted("an append whose closure threw succeeded")
        }
    }

    private struct Group {
        let names: [RecordName]
        let mustBeThere: Bool
    }

    /// Reads all there is: of each group all or nothing, the test's own records, and no other.
    private func follow(upTo own: RecordName?, victims: [Group]) throws {
        var groups = victims
        var nextOwn = history.last { $0.writer == Self.ownWriter }.map { $0.counter + 1 } ?? 0
        var inGroup: [RecordName] = []
        while let (sequence, name) = try Self.next(&follower) {
            guard let name else { throw Refuted("a record that nobody appended") }
            guard sequence == UInt64(history.count) else {
                throw Refuted("sequence \(sequence) of \(name), due was \(history.count)")
            }
            history.append(name)
            if let due = inGroup.first {
                guard name == due else { throw Refuted("\(name) where \(due) of the same batch was due") }
                inGroup.removeFirst()
            } else if name.writer == Self.ownWriter {
                guard name.counter == nextOwn else { throw Refuted("\(name) where \(nextOwn) was due") }
                nextOwn += 1
            } else if let index = groups.firstIndex(where: { $0.names[0] == name }) {
                inGroup = Array(groups.remove(at: index).names.dropFirst())
            } else {
                throw Refuted("\(name), which is a second time there or was never appended")
            }
        }
        guard inGroup.isEmpty else { throw Refuted("\(inGroup) is missing of a batch") }
        guard nextOwn == ownCounter else { throw Refuted("\(ownCounter - nextOwn) acknowledged records are missing") }
        if let own, history.last != own { throw Refuted("\(history.last!) behind the last record") }
        if let lost = groups.first(where: \.mustBeThere) {
            throw Refuted("\(lost.names) was acknowledged, and is gone")
        }
    }

    private static func next(_ tailer: inout Tailer) throws -> (sequence: UInt64, name: RecordName?)? {
        guard let record = try tailer.next() else { return nil }
        return (record.sequence, RecordName(record))
    }

    private func checkPlace(isDone: Bool) throws {
        guard let place = try reading.namedTailers().first(where: { $0.name == TracedOperation.tailerName }) else {
            if isDone || committedPlace != 0 { throw Refuted("the named tailer is gone") }
            return
        }
        // Settling appended one record behind it.
        let whole = UInt64(history.count) - 1
        guard place.sequence == whole || !isDone && place.sequence == committedPlace else {
            throw Refuted("a named tailer at \(place.sequence), which was at \(committedPlace) and goes to \(whole)")
        }
        committedPlace = place.sequence
    }

    /// Where a creation was killed there is a whole log or none, and the next creation takes over.
    private func checkCreated(isDone: Bool) throws {
        let path = created
        defer { try? FileManager.default.removeItem(atPath: path.string) }
        if isDone { _ = try Log.openReadOnly(at: path) }
        let log = try Log.openOrCreate(at: path, options: LogOptions(segmentSize: TracedOperation.segmentSize))
        try append(log, byteCount: 64)
        guard try log.nextSequence == 1 else { throw Refuted("a new log has \(try log.nextSequence) records") }
        try log.close()
        ownCounter -= 1
        guard try Maintenance.verify(at: path).isWhole else { throw Refuted("a new log isn't whole") }
    }

    private func checkSnapshot(isDone: Bool) throws {
        defer { snapshots += 1 }
        let copy = snapshot
        defer { try? FileManager.default.removeItem(atPath: copy.string) }
        // Whose presence says that it is a log.
        guard FileManager.default.fileExists(atPath: copy.appending("options.json").string) else {
            if isDone { throw Refuted("a finished snapshot is no log") }
            return
        }
        guard try Maintenance.verify(at: copy).isWhole else { throw Refuted("a snapshot that isn't whole") }
    }

    /// Closes the log, and reads it once more, from the first record that is left.
    public func finish() throws {
        sleeper.end()
        try survivor?.close()
        let report = try Maintenance.verify(at: log)
        guard report.isWhole else { throw Refuted("damage: \(report.findings)") }
        let log = try Log.open(at: log)
        if log.recovery?.cleanClose != true { throw Refuted("no clean close") }
        var tailer = try log.tailer()
        var sequence = tailer.sequence
        while let (found, name) = try Self.next(&tailer) {
            guard found == sequence, sequence < history.count, name == history[Int(sequence)] else {
                throw Refuted("sequence \(found) is another record than it was")
            }
            sequence += 1
        }
        guard sequence == history.count else { throw Refuted("the log ends at \(sequence), not at \(history.count)") }
        try log.close()
    }
}
