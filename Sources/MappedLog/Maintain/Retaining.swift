internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Removes whole segments from the front of a log (`spec/protocol.md`, "Retain").
struct Retaining {
    private let place: LogPlace
    private let rule: Retention
    private let isDryRun: Bool

    init(_ place: LogPlace, _ rule: Retention, isDryRun: Bool = false) {
        self.place = place
        self.rule = rule
        self.isDryRun = isDryRun
    }

    /// What a segment's files are.
    private struct Row {
        let base: UInt64
        let forms: [(name: SegmentName, bytes: UInt64)]
        var bytes: UInt64 { forms.reduce(0) { $0 + $1.bytes } }
    }

    /// - Parameter patience: How long to wait for an open or close of the log that is under way.
    /// - Throws: `compacting` where somebody else changes the forms of segments; `recovering`; what says that the log
    ///   can't be read; `io`, `permissionDenied`. What was removed before stays so.
    /// - Returns: What was done.
    func run(patience: Duration) throws(LogError) -> RetentionReport {
        try rule.check()
        let lock = try Compactor.lock(place)
        // Who opens the log looks at its first segments.
        try lock.lockGate(timeout: patience)
        defer { lock.unlockGate() }
        return try removeWhatIsDue()
    }

    private func removeWhatIsDue() throws(LogError) -> RetentionReport {
        let bases = try place.bases()
        try place.checkMayWrite(bases)
        let rows = try rows(bases)
        let durable = try LogReader.knownDurable(of: place)
        let end = try LogReader.end(of: place)
        var left = rows.reduce(UInt64(0)) { $0 + $1.bytes }
        var count = bases.count { $0 <= place.geometry.base(of: end) }
        var report = RetentionReport()
        report.isDryRun = isDryRun
        var first = bases[0]
        for row in rows {
            let next = row.base + place.geometry.segmentSize
            // Behind this no process flushes, recovers or appends to it any more.
            guard next + SegmentGeometry.dataStart <= min(durable, end), bases.contains(next),
                try isDue(row.base, bytesLeft: left, segmentsLeft: count)
            else { break }
            if let name = try protector(of: next) {
                report.protectedBy = name
                break
            }
            if !isDryRun { try remove(row, before: next) }
            report.removed.append(
                .init(base: row.base, file: place.medium.path(of: row.forms[0].name).string, bytes: row.bytes)
            )
            left -= row.bytes
            count -= 1
            first = next
        }
        guard let line = try place.activation(first) else { throw place.badActivation(first) }
        report.firstSequence = line.baseSequence
        report.firstPosition = first + SegmentGeometry.dataStart
        return report
    }

    private func rows(_ bases: [UInt64]) throws(LogError) -> [Row] {
        let names = Dictionary(grouping: try place.medium.listSegments()) { $0.base }
        var rows: [Row] = []
        for base in bases {
            var forms: [(name: SegmentName, bytes: UInt64)] = []
            for name in names[base] ?? [] {
                // Once the others are gone it would count.
                if case .unsupported(_, let file) = name { throw place.unsupportedForm(base, file) }
                do throws(Errno) {
                    forms.append((name, UInt64(try SystemCall.status(place.medium.path(of: name)).st_size)))
                } catch {
                    throw .system(error, "stat(2)", file: place.medium.path(of: name))
                }
            }
            if forms.isEmpty { throw place.missing(base, durable: nil) }
            rows.append(Row(base: base, forms: forms))
        }
        return rows
    }

    private func isDue(_ base: UInt64, bytesLeft: UInt64, segmentsLeft: Int) throws(LogError) -> Bool {
        if let bytes = rule.bytes, bytesLeft > bytes { return true }
        if let segments = rule.segments, segmentsLeft > segments { return true }
        guard let age = rule.age else { return false }
        let (due, overflow) = try largestTimestamp(base).addingReportingOverflow(Int64(clamping: age.wholeNanoseconds))
        return !overflow && due < LogClock.precise.read()
    }

    private func largestTimestamp(_ base: UInt64) throws(LogError) -> Int64 {
        let scanner = try place.scanner(base)
        if let seal = try scanner.seal(), case .frame(let frame) = try scanner.frame(at: seal.endOffset),
            frame.kind == .end
        {
            return seal.largestTimestamp
        }
        return try scanner.walk(from: SegmentGeometry.dataStart, sequence: 0).largestTimestamp
    }

    /// What keeps segments that are due from being removed; a look, without locks.
    func obstacle() -> String? {
        do throws(LogError) {
            let report = try Retaining(place, rule, isDryRun: true).removeWhatIsDue()
            return report.protectedBy.map { "named tailer \($0), which protects what it has yet to read" }
        } catch {
            return error.description
        }
    }

    /// The name of a protecting tailer that has yet to read something before a base position.
    private func protector(of base: UInt64) throws(LogError) -> String? {
        for name in try place.medium.namedTailerNames() {
            let file: NamedTailerFile
            do throws(LogError) {
                file = try NamedTailerFile(name, in: place, create: false, writable: false)
            } catch  where error.code == .notFound {
                continue
            }
            guard let kept = try file.place, kept.isProtecting, kept.position < base else { continue }
            return name
        }
        return nil
    }

    private func remove(_ row: Row, before next: UInt64) throws(LogError) {
        // From now on the next one's activation line is all that says which sequence the log begins with.
        try place.openForReading(next).file.flushData()
        guard try place.activation(next) != nil else { throw place.badActivation(next) }
        // The form that counts goes last.
        for form in row.forms.reversed() { try place.medium.remove(form.name) }
    }
}

extension LogReader {
    /// Known durable, for those who have no tailer.
    static func knownDurable(of place: LogPlace) throws(LogError) -> UInt64 {
        try forMaintenance(place).knownDurable()
    }

    /// The end of what is visible, for those who have no tailer.
    static func end(of place: LogPlace) throws(LogError) -> UInt64 {
        try forMaintenance(place).end().position
    }

    static func forMaintenance(_ place: LogPlace) throws(LogError) -> LogReader {
        LogReader(place, control: nil, waiters: nil, system: try .current(), forkGuard: try ForkGuard())
    }
}

extension LogPlace {
    /// What keeps the log's own retention from removing more; nil: nothing, or there is none.
    var retentionObstacle: String? {
        guard let rule = (try? medium.readSettings())?.retention else { return nil }
        return Retaining(self, rule).obstacle()
    }
}
