internal import SystemPackage
internal import _CMappedLog

/// What stands in all files of a log, damage and all: the one reading that `verify` reports and `repair` acts on.
///
/// Files are read, never mapped, so that a bad sector is a finding and not a signal.
struct LogCheck {
    /// A place in the row of segments.
    struct Row {
        enum State {
            /// Its frames can be read. Where the header is bad, by the salt that still stands there.
            case frames(SegmentCheck, fault: LogError?)
            /// Nothing of it can be read: no file, or one without a header to read it by.
            case gone(LogError, hasData: Bool)
            case unsupported(LogError)
        }

        let base: UInt64
        let file: FilePath
        var state: State
        /// What the segments before it say of its activation line; nil: they are damaged, or it is the first.
        var expected: ExpectedActivation?

        var check: SegmentCheck? {
            if case .frames(let check, _) = state { check } else { nil }
        }
    }

    let place: LogPlace
    /// Of a log with writers: where its tail was when the run began.
    let live: mlog_append_slot?
    var rows: [Row] = []
    /// Files whose name is no base position.
    var misnamed: [UInt64] = []
    /// Known durable; of a live log its tail, for all before it must be there.
    var durable: UInt64 = 0
    var bytes: UInt64 = 0

    /// - Parameters:
    ///   - place: The log.
    ///   - live: The tail of a log with writers.
    ///   - hint: Where the log ended at its last clean close, if it knows.
    ///   - progress: Told how many bytes were looked at, of how many.
    /// - Throws: `permissionDenied`, `io` where the directory or a file can't be opened.
    init(
        _ place: LogPlace,
        live: mlog_append_slot?,
        hint: mlog_append_slot?,
        progress: (UInt64, UInt64) -> Void
    ) throws(LogError) {
        self.place = place
        self.live = live
        var names: [UInt64: SegmentName] = [:]
        for name in try place.medium.listSegments() {
            if !place.geometry.isBase(name.base) {
                misnamed.append(name.base)
            } else if case .raw = name {
                names[name.base] = name
            } else if names[name.base] == nil {
                names[name.base] = name
            }
        }
        guard let first = names.keys.min(), let last = names.keys.max() else { return }
        let size = place.geometry.segmentSize
        let total = UInt64(names.count) * size
        var expected: ExpectedActivation?
        var base = first
        while base <= last {
            let start = bytes
            var row = try row(base, names[base], expected: expected, hint: hint) { offset in
                progress(start + min(offset, size), total)
            }
            row.expected = expected
            expected = row.check.flatMap { Self.expected(behind: $0, expected) }
            rows.append(row)
            if names[base] != nil { bytes += size }
            // Retention may take the first segments away while a live log is read.
            if live != nil, case .gone(let error, _) = row.state, error.code == .missingSegment, names[base] != nil {
                let left = try place.medium.listSegments().map(\.base).min() ?? base
                if left > base { (rows, expected) = ([], nil) }
            }
            // Each missing segment is a finding of its own; but a stray name far out doesn't make millions.
            let isRow = rows.count < names.count + 4096
            base = isRow ? base + size : names.keys.filter { $0 > base }.min() ?? last + size
        }
        progress(total, total)
        durable = rows.compactMap { $0.check?.statedDurable }.max() ?? 0
        durable = max(durable, first + SegmentGeometry.dataStart, live?.tail ?? 0)
        appendMissingLast()
    }

    /// A durable segment may be missing at the end of the row too.
    private mutating func appendMissingLast() {
        while let last = rows.last, last.check?.endFrame != nil {
            let next = last.base + place.geometry.segmentSize
            guard durable >= next + SegmentGeometry.dataStart else { return }
            let expected = last.check.flatMap { Self.expected(behind: $0, last.expected) }
            rows.append(
                Row(
                    base: next,
                    file: place.medium.segmentPath(next),
                    state: .gone(place.missing(next, durable: durable), hasData: true),
                    expected: expected
                )
            )
        }
    }

    // MARK: One segment

    private func row(
        _ base: UInt64,
        _ name: SegmentName?,
        expected: ExpectedActivation?,
        hint: mlog_append_slot?,
        progress: (UInt64) -> Void
    ) throws(LogError) -> Row {
        let path = place.medium.segmentPath(base)
        func row(_ state: Row.State) -> Row { Row(base: base, file: path, state: state) }
        if case .unsupported(_, let file) = name {
            return Row(
                base: base,
                file: place.medium.path.appending(file),
                state: .unsupported(
                    LogError(
                        .unsupportedSegment,
                        file: place.medium.path.appending(file),
                        expected: "a name that ends in .mlog",
                        found: file,
                        advice: "use a version of MappedLog that knows this form"
                    )
                )
            )
        }
        guard name != nil, let file = try place.medium.openSegment(base, writable: false) else {
            return row(.gone(place.missing(base, durable: nil), hasData: true))
        }
        var fault: LogError?
        let scanner: SegmentScanner
        do throws(LogError) {
            let header = try SegmentHeader(reading: file, base: base, of: place.identity)
            scanner = SegmentScanner(file, header: header, toleratesBadSectors: true)
        } catch {
            if Damage.Kind(error.code) == .unsupported { return row(.unsupported(error)) }
            guard let salvaged = try SegmentSalvage(file, base, place).scanner(error) else {
                return row(.gone(error, hasData: try SegmentSalvage(file, base, place).hasData()))
            }
            fault = error
            scanner = salvaged
        }
        let limit = live.map { $0.tail > base ? min($0.tail - base, place.geometry.segmentSize) : 0 }
        var check = try SegmentCheck(scanner, limit: limit, progress: progress)
        try check.checkIndex(
            scanner,
            first: expected?.baseSequence ?? check.activation?.baseSequence,
            behind: behind(check, hint)
        )
        return row(.frames(check, fault: fault))
    }

    /// What is known of the sequence behind a segment: from the next one's line, or from who closed the log.
    private func behind(_ check: SegmentCheck, _ hint: mlog_append_slot?) -> SegmentCheck.Behind? {
        if let end = check.endFrame {
            let next = check.base + place.geometry.segmentSize
            guard let line = try? place.activation(next) else { return nil }
            return SegmentCheck.Behind(offset: end.end, sequence: line.baseSequence)
        }
        guard let slot = live ?? hint, place.geometry.base(of: slot.tail) == check.base else { return nil }
        return SegmentCheck.Behind(offset: slot.tail - check.base, sequence: slot.sequence)
    }

    /// What a segment that has its `end` frame says of the next one's line; nil where damage hides it.
    static func expected(behind check: SegmentCheck, _ expected: ExpectedActivation?) -> ExpectedActivation? {
        guard check.endFrame != nil, let sequence = check.runs.last?.sequenceBehind else { return nil }
        let before = check.activation?.largestTimestampBefore ?? expected?.largestTimestampBefore
        return ExpectedActivation(
            baseSequence: sequence,
            largestTimestampBefore: max(before ?? .min, check.largestTimestamp),
            mayBeLarger: check.isDoubtful || before == nil
        )
    }
}
