import Glibc
import MappedLog
import SystemPackage
import _CDiskCalls

/// A run of a log that is recorded: what it does, chosen by chance, and what it is told meanwhile.
struct RecordedRun {
    /// What a run is made of.
    enum Kind: CaseIterable, Sendable {
        /// A few small records: every disk can be built.
        case few
        /// Records of all sizes and batches, with syncs.
        case many
        /// Records that fill segments.
        case rolling
        /// Compaction and retention.
        case maintained
        /// Named tailers.
        case tailed
        /// Deaths inside appends and flushes, flushes that fail, appends that are taken back.
        case mishaps
    }

    let place: FilePath
    let recorder: DiskRecorder
    var chance: Chance
    var promises: PromiseRecord
    private(set) var log: Log
    /// Of processes that died; they are let go when the record has ended.
    private var dead: [Log] = []
    private let durability: Durability
    private let isSlow: Bool
    private var nextTimestamp: Int64 = 1_000_000
    private var activities: [(begun: Int, activity: Activity)] = []

    /// What was recorded.
    struct Result {
        let history: DiskHistory
        let promises: PromiseRecord
        /// The first one begins with the record.
        let activities: [(begun: Int, activity: Activity)]

        func activity(at moment: Int) -> Activity {
            (activities.last { $0.begun < moment } ?? activities[0]).activity
        }
    }

    /// Records a run over what the directory holds, or over nothing.
    static func record(
        _ kind: Kind,
        in root: FilePath,
        over base: Promise?,
        forgetting forgotten: DiskRecorder.Forgotten?,
        _ chance: inout Chance
    ) throws -> Result {
        let recorder = try DiskRecorder(root, forgetting: forgotten)
        var run = try RecordedRun(kind, root, recorder, over: base, Chance(seed: chance.next()))
        for _ in 0..<Int.random(in: kind.steps, using: &chance) { try run.step(kind) }
        disk_slow_others(0)
        run.begin(.close)
        recorder.observe(watermark: nil)
        try run.log.close()
        run.acknowledgeAll()
        let history = recorder.end()
        run.promises.note(recorder.watermarks)
        return Result(history: history, promises: run.promises, activities: run.activities)
    }

    private init(_ kind: Kind, _ root: FilePath, _ recorder: DiskRecorder, over base: Promise?, _ chance: Chance) throws
    {
        self.recorder = recorder
        self.chance = chance
        place = root.appending(ImageCheck.logName)
        durability =
            switch kind {
            case .few, .rolling: self.chance.oneIn(3) ? .everyAppend : .never
            case .many, .tailed:
                [.never, .everyAppend, .bytes(3000), .interval(.milliseconds(1))].randomElement(using: &self.chance)!
            case .maintained, .mishaps: .never
            }
        // The disk takes its time for what is prepared: names are there, and not on the disk.
        isSlow = kind == .rolling
        disk_slow_others(isSlow ? Self.longestFlushMicroseconds : 0)
        let opening = OpenOptions(durability: durability)
        activities = [(0, base == nil ? .creation : .recovery)]
        if let base {
            promises = PromiseRecord(base)
            log = try Log.open(at: place, opening: opening)
        } else {
            promises = PromiseRecord(Promise())
            log = try Log.create(at: place, options: .forCrashes, opening: opening)
            promises.created = recorder.look()
        }
        nextTimestamp += Int64(promises.allRecords.count) * 10
        watch()
    }

    /// What the log calls durable is a promise, from the moment on when it does.
    private static let longestFlushMicroseconds: UInt32 = 40_000

    private func watch() {
        recorder.observe { [log] in try? log.durablePosition.rawValue }
    }

    // MARK: Steps

    @discardableResult mutating func begin(_ activity: Activity) -> Int {
        let time = recorder.look()
        activities.append((time, activity))
        return time
    }

    /// What was begun last has turned out to be a roll.
    private mutating func noteRoll(from before: Position, to appended: Position) {
        let size = LogOptions.forCrashes.segmentSize
        if before.rawValue / size != appended.rawValue / size { activities[activities.count - 1].activity = .roll }
    }

    private mutating func step(_ kind: Kind) throws {
        switch (kind, Int.random(in: 0..<12, using: &chance)) {
        case (.mishaps, 3...11): try mishap()
        case (_, 0...1): try append(Int.random(in: 0...200, using: &chance))
        case (_, 2): try appendInPlace()
        case (_, 3): try appendBatch(of: Int.random(in: 2...5, using: &chance), upTo: kind == .few ? 60 : 3000)
        case (_, 4): try sync()
        case (.few, 5): try reopen()
        case (.few, _): try append(Int.random(in: 0...700, using: &chance))
        case (_, 5): try refuseInPlace()
        case (.many, 6...10), (.tailed, 6): try append(Int.random(in: 0...5000, using: &chance))
        case (.rolling, _):
            try append(Int.random(in: 10_000...57_296, using: &chance))
            // Before the segment that has been sealed is flushed by itself.
            if chance.oneIn(3) { try sync() }
        case (.maintained, 6):
            for _ in 0..<4 { try append(Int.random(in: 25_000...57_296, using: &chance)) }
            if Bool.random(using: &chance) { try sync() }
        case (.maintained, 7...8):
            begin(.compaction)
            _ = try Compactor.compact(at: place, options: CompactionOptions(blockSize: 64 << 10))
        case (.maintained, 9):
            begin(.restoring)
            _ = try Compactor.restore(at: place)
        case (.maintained, 10): try retain()
        case (.tailed, 7...11): try tail()
        default: try reopen()
        }
        recorder.look()
    }

    func payload(_ byteCount: Int) -> [UInt8] {
        var chance = chance
        let seed = chance.next()
        // Compressible, and with zeros in it, in a way that no two records share.
        return (0..<byteCount).map { index in
            index % 97 < 30 ? 0 : UInt8(truncatingIfNeeded: (seed &+ UInt64(index / 8)) &* 0x9E37_79B9 >> 16)
        }
    }

    mutating func timestamp() -> Timestamp {
        // Now and then the clock steps back.
        nextTimestamp += chance.oneIn(8) ? -35 : 10
        return Timestamp(nanosecondsSince1970: nextTimestamp)
    }

    mutating func note(_ begun: Int, _ payloads: [[UInt8]], _ timestamp: Timestamp, _ first: Appended) {
        var position = first.position.rawValue
        for (index, payload) in payloads.enumerated() {
            let record = Promise.Record(
                sequence: first.sequence + UInt64(index),
                position: position,
                timestamp: timestamp.nanosecondsSince1970,
                payload: payload,
                group: first.sequence
            )
            promises.records.append((begun, record))
            position += 24 + UInt64(payload.count + 7) / 8 * 8
        }
        if durability == .everyAppend { acknowledgeAll() }
    }

    mutating func append(_ byteCount: Int) throws { try append(payload(byteCount)) }

    mutating func append(_ bytes: [UInt8], in activity: Activity = .append) throws {
        let time = timestamp()
        let begun = begin(activity)
        let before = try log.endPosition
        let appended = try log.append(bytes, timestamp: time)
        noteRoll(from: before, to: appended.position)
        note(begun, [bytes], time, appended)
        recorder.look()
    }

    private mutating func appendInPlace() throws {
        let (bytes, time) = (payload(Int.random(in: 0...900, using: &chance)), timestamp())
        let recorder = recorder
        let begun = begin(.append)
        let before = try log.endPosition
        let appended = try log.append(reserving: bytes.count + 300, timestamp: time) { output in
            for byte in bytes.prefix(bytes.count / 2) { output.append(byte) }
            recorder.look()
            for byte in bytes.suffix(bytes.count - bytes.count / 2) { output.append(byte) }
            recorder.look()
        }
        noteRoll(from: before, to: appended.position)
        note(begun, [bytes], time, appended)
        recorder.look()
    }

    private struct Refusal: Error {}

    private mutating func refuseInPlace() throws {
        begin(.append)
        let recorder = recorder
        let fill: (inout OutputRawSpan) throws -> Void = { output in
            for _ in 0..<400 { output.append(0xEE) }
            recorder.look()
            throw Refusal()
        }
        // `fillFailed`
        guard (try? log.append(reserving: 500, fill)) == nil else { throw ImageCheck.Broken(description: "no refusal") }
        recorder.look()
    }

    private mutating func appendBatch(of count: Int, upTo limit: Int) throws {
        let payloads = (0..<count).map { _ in
            _ = chance.next()
            return payload(Int.random(in: 0...limit, using: &chance))
        }
        try appendBatch(payloads)
    }

    mutating func appendBatch(_ payloads: [[UInt8]], in activity: Activity = .batch) throws {
        let time = timestamp()
        let begun = begin(activity)
        note(begun, payloads, time, try log.append(batch: payloads, timestamp: time).first)
        recorder.look()
    }

    mutating func sync() throws {
        begin(.sync)
        try log.sync()
        acknowledgeAll()
    }

    mutating func reopen() throws {
        if durability == .never, Bool.random(using: &chance) { return try die(in: .recovery) }
        begin(.close)
        recorder.observe(watermark: nil)
        try log.close()
        acknowledgeAll()
        log = try Log.open(at: place, opening: OpenOptions(durability: durability))
        watch()
    }

    /// The process dies, as far as the log can tell: its lock goes, nothing is flushed, and the next one recovers what is
    /// in the cache alone.
    mutating func die(in activity: Activity) throws {
        // What its threads were about to do they would do behind its death.
        usleep(5000 + (isSlow ? Self.longestFlushMicroseconds : 0))
        begin(activity)
        let lock = place.appending("live/lock").string
        for (name, _) in try contents(below: "/proc/self/fd") where linkTarget("/proc/self/fd/" + name) == lock {
            // The same file, opened anew: without the locks.
            let fresh = try openFile(lock, O_RDWR)
            guard dup2(fresh.rawValue, CInt(name)!) >= 0 else { throw Errno(rawValue: errno) }
            try fresh.close()
        }
        recorder.observe(watermark: nil)
        dead.append(log)
        log = try Log.open(at: place, opening: OpenOptions(durability: durability))
        watch()
    }

    private mutating func retain() throws {
        let begun = begin(.retention)
        let report = try log.retain(Retention(segments: Int.random(in: 1...3, using: &chance)))
        promises.retentions.append((begun, recorder.look(), report.firstSequence))
    }

    private mutating func tail() throws {
        let name = ["a", "b"].randomElement(using: &chance)!
        let begun = begin(.namedTailer)
        var tailer = try log.tailer(named: name)
        // The first open of a name commits by itself.
        if !promises.commits.contains(where: { $0.name == name }), promises.base.tailers[name] == nil {
            let sequence = tailer.tailer.sequence
            promises.commits.append(.init(name: name, sequence: sequence, begun: begun, durable: recorder.look()))
        }
        for _ in 0..<Int.random(in: 1...3, using: &chance) {
            for _ in 0..<Int.random(in: 0...3, using: &chance) { _ = try tailer.next() }
            let (isDurable, begun) = (Bool.random(using: &chance), recorder.look())
            try tailer.commit(durably: isDurable)
            let ended = recorder.look()
            let sequence = tailer.tailer.sequence
            promises.commits.append(
                .init(name: name, sequence: sequence, begun: begun, durable: isDurable ? ended : nil)
            )
        }
    }

    // MARK: What is acknowledged

    /// A call that makes everything durable has returned.
    mutating func acknowledgeAll() {
        let all = promises.allRecords
        guard let last = all.last else { return }
        promises.acknowledgements.append((recorder.look(), last.sequence + 1))
    }
}

extension RecordedRun.Kind {
    fileprivate var steps: ClosedRange<Int> {
        switch self {
        case .few: 1...4
        case .mishaps: 2...6
        default: 6...14
        }
    }
}
