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
        /// Nil: no file of this name is there.
        var form: SegmentName?
        var state: State
        /// What the segments before it say of its activation line; nil: they are damaged, or it is the first.
        var expected: ExpectedActivation?

        var check: SegmentCheck? {
            if case .frames(let check, _) = state { check } else { nil }
        }
    }

    /// A file that is no part of the log.
    struct Stray {
        let name: SegmentName
        let expected: String
        let found: String
    }

    let place: LogPlace
    /// Of a log with writers: where its tail was when the run began.
    let live: mlog_append_slot?
    var rows: [Row] = []
    /// Files that have the name of a segment and are no part of the log.
    var strays: [Stray] = []
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
                strays.append(
                    Stray(
                        name: name,
                        expected: "a name that is a base position, a multiple of \(place.geometry.segmentSize)",
                        found: "another"
                    )
                )
            } else if names[name.base] == nil {
                // The form that counts comes first.
                names[name.base] = name
            }
        }
        removeStraysBefore(&names)
        guard let first = names.keys.min(), var last = names.keys.max() else { return }
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
            base += size
            // Each missing segment is a finding of its own, where the log goes on behind it.
            guard base <= last, names[base] == nil else { continue }
            let stated = max(rows.compactMap { $0.check?.statedDurable }.max() ?? 0, live?.tail ?? 0)
            var reached = names.filter { isReached($0.key, $0.value, from: base, stated: stated) }.keys.max() ?? 0
            // Prepared segments follow the last that holds data.
            while reached > 0, names[reached + size] != nil { reached += size }
            for (key, name) in names.sorted(by: { $0.key < $1.key }) where key > max(base, reached) {
                strays.append(
                    Stray(
                        name: name,
                        expected: "a segment that goes on where the log ends, before position \(base)",
                        found: "one behind a hole"
                    )
                )
                names[key] = nil
            }
            last = names.keys.max() ?? first
        }
        progress(total, total)
        durable = rows.compactMap { $0.check?.statedDurable }.max() ?? 0
        durable = max(durable, first + SegmentGeometry.dataStart, live?.tail ?? 0)
        appendMissingLast()
    }

    // MARK: Strays

    /// The most segments that are taken for missing between two that are there.
    private static let longestHole: UInt64 = 4096

    /// Files before the log's first segment that say themselves that they are something else.
    private mutating func removeStraysBefore(_ names: inout [UInt64: SegmentName]) {
        let size = place.geometry.segmentSize
        while names.count > 1, let first = names.keys.min(), case .raw? = names[first], names[first + size] == nil,
            let other = place.otherSegment(first)
        {
            strays.append(
                Stray(
                    name: .raw(first),
                    expected: "a header with base position \(first) of log \(place.id)",
                    found: other
                )
            )
            names[first] = nil
        }
    }

    /// Whether the log reaches a segment behind a hole: what holds data of this log says so, or what is known durable.
    private func isReached(_ base: UInt64, _ name: SegmentName, from hole: UInt64, stated: UInt64) -> Bool {
        guard base > hole, (base - hole) / place.geometry.segmentSize <= Self.longestHole else { return false }
        if stated >= base + SegmentGeometry.dataStart { return true }
        guard case .raw = name else { return true }
        return place.isActivated(base)
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
        if case .unsupported(_, let file) = name {
            return Row(
                base: base,
                file: place.medium.path.appending(file),
                form: name,
                state: .unsupported(
                    LogError(
                        .unsupportedSegment,
                        file: place.medium.path.appending(file),
                        expected: "a name that ends in .mlog or .mlog.lz4",
                        found: file,
                        advice: "use a version of MappedLog that knows this form"
                    )
                )
            )
        }
        let opened: SegmentFile?
        do throws(LogError) {
            opened = name == nil ? nil : try place.medium.openForReading(base)
        } catch  where error.code == .damaged || error.errno == .tooManySymbolicLinkLevels {
            // A symbolic link, a directory, a pipe: no file that could be a segment.
            let path = name.map(place.medium.path) ?? place.medium.segmentPath(base)
            return Row(base: base, file: path, form: name, state: .gone(error, hasData: true))
        }
        guard let found = opened else {
            let path = place.medium.segmentPath(base)
            return Row(base: base, file: path, state: .gone(place.missing(base, durable: nil), hasData: true))
        }
        let file = found.file
        let isCompacted = if case .compacted = found { true } else { false }
        func row(_ state: Row.State) -> Row {
            Row(base: base, file: file.path, form: isCompacted ? .compacted(base) : .raw(base), state: state)
        }
        var fault: LogError?
        let scanner: SegmentScanner
        do throws(LogError) {
            scanner = try found.scanner(base: base, of: place.identity, toleratesBadSectors: true)
        } catch {
            if error.saysNothingOfTheDisk { throw error }
            if Damage.Kind(error.code) == .unsupported { return row(.unsupported(error)) }
            // Without its seek table nothing says where its blocks are.
            if isCompacted { return row(.gone(error, hasData: true)) }
            guard let salvaged = try SegmentSalvage(file, base, place).scanner(error) else {
                return row(.gone(error, hasData: try SegmentSalvage(file, base, place).hasData()))
            }
            fault = error
            scanner = salvaged
        }
        let limit = live.map { $0.tail > base ? min($0.tail - base, place.geometry.segmentSize) : 0 }
        var check = try SegmentCheck(scanner, limit: limit, progress: progress)
        if isCompacted { check.statedDurable = base + place.geometry.segmentSize + SegmentGeometry.dataStart }
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
