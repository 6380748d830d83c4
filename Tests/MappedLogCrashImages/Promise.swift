/// What a log must hold after a power cut at one moment: what was acknowledged, and what else may be there.
struct Promise: Codable, Sendable {
    struct Record: Codable, Hashable, Sendable {
        var sequence: UInt64
        var position: UInt64
        var timestamp: Int64
        var payload: [UInt8]
        /// The sequence of the first record that becomes visible at once with this one.
        var group: UInt64
    }

    /// Whether the log must be there.
    var isCreated = true
    /// Everything that was appended, or was being appended.
    var records: [Record] = []
    /// All records before this sequence must be there.
    var acknowledged: UInt64 = 0
    /// With which sequence the log may begin.
    var first: ClosedRange<UInt64> = 0...0
    /// Of each named tailer the sequences where it may stand; it must be there if the flag says so.
    var tailers: [String: Tailer] = [:]

    struct Tailer: Codable, Sendable {
        var mustExist = false
        var sequences: Set<UInt64> = []
    }
}

/// What was promised when, in the course of a recorded run.
struct PromiseRecord {
    /// What held at the start.
    var base: Promise
    var records: [(begun: Int, record: Promise.Record)] = []
    var acknowledgements: [(time: Int, sequence: UInt64)] = []
    /// Retention up to these first sequences, and when it had come to its end.
    var retentions: [(begun: Int, ended: Int, first: UInt64)] = []
    var commits: [Commit] = []
    /// When the log's creation returned; nil: it was there.
    var created: Int?

    struct Commit {
        let name: String
        let sequence: UInt64
        let begun: Int
        /// When it was durable; nil: never surely.
        let durable: Int?
    }

    init(_ base: Promise) { self.base = base }

    /// All records, in the end.
    var allRecords: [Promise.Record] { base.records + records.map(\.record) }

    /// All before these positions was said to be durable.
    mutating func note(_ watermarks: [(time: Int, position: UInt64)]) {
        let all = allRecords
        for (time, position) in watermarks {
            guard let last = all.last(where: { $0.position < position }) else { continue }
            acknowledgements.append((time, last.sequence + 1))
        }
    }

    func promise(at time: Int) -> Promise {
        var promise = base
        if let created { promise.isCreated = created <= time }
        promise.records += records.filter { $0.begun <= time }.map(\.record)
        promise.acknowledged = acknowledgements.filter { $0.time <= time }.map(\.sequence).max() ?? base.acknowledged
        promise.acknowledged = max(promise.acknowledged, base.acknowledged)
        for retention in retentions where retention.begun <= time {
            let sure = retention.ended <= time ? retention.first : promise.first.lowerBound
            promise.first = sure...max(retention.first, promise.first.upperBound)
        }
        for commit in commits where commit.begun <= time {
            if let durable = commit.durable, durable <= time {
                promise.tailers[commit.name] = .init(mustExist: true, sequences: [commit.sequence])
            } else {
                promise.tailers[commit.name, default: .init()].sequences.insert(commit.sequence)
            }
        }
        return promise
    }
}
