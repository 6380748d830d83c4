internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// Gives old segments their other form: compacted with LZ4, or raw again.
///
/// Works beside writers and tailers, and needs no help from them: the new form is complete, durable, and compared with
/// the old one, before the old one goes. Killed at any moment it leaves a readable log, and what it leaves besides is
/// removed by the next run. Positions and sequences stay what they are. All of it may be called from any thread;
/// of two that compact, restore or repair one log at a time, in whatever processes, the second is refused. In a forked
/// child, before exec, it throws `forked`.
public enum Compactor {
    /// Compacts each segment that is sealed and wholly durable.
    ///
    /// Complexity: O(*n*) in the bytes that are compacted; memory for 4 MiB and some blocks for each job.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - options: How, and what is left alone.
    ///   - progress: Called with how far it has come, once for each block; on the caller's thread.
    /// A damaged segment stays raw, as it is, and the report says so; the others are compacted.
    ///
    /// - Throws: `compacting` where somebody else is at it; `invalidOptions`; `diskFull`, with the segment left as it
    ///   is; `notFound`, `notALog`, `permissionDenied`, `io`; as ``Log/openReadOnly(at:)-(LogLocation)`` where the log can't be read.
    /// - Returns: What was done.
    public static func compact(
        at location: LogLocation,
        options: CompactionOptions = CompactionOptions(),
        progress: ((CompactionProgress) -> Void)? = nil
    ) throws(LogError) -> CompactionReport {
        try options.check()
        let place = try persistentPlace(location)
        let lock = try lock(place)
        defer { withExtendedLifetime(lock) {} }
        return try run(place, options, progress)
    }

    /// Compacts; only with the lock, or where nobody else can be at it.
    ///
    /// - Parameters:
    ///   - place: The log.
    ///   - options: How, and what is left alone.
    ///   - durable: What is known durable, by who has made it so; nil: what the log says.
    ///   - progress: Called once for each block; what it throws ends the work, with nothing left half done.
    /// - Throws: As `compact(at:options:progress:)`.
    /// - Returns: What was done.
    static func run(
        _ place: LogPlace,
        _ options: CompactionOptions,
        durable: UInt64? = nil,
        _ progress: FormChange.Progress?
    ) throws(LogError) -> CompactionReport {
        let start = ContinuousClock.now
        var report = CompactionReport()
        report.isDryRun = options.isDryRun
        if !options.isDryRun { report.removedLeftovers = try place.medium.removeUnfinishedCompactions() }
        let candidates = try Candidates(place: place, options: options, durable: durable).find(&report)
        if options.isDryRun {
            report.segments = candidates.map { base in
                CompactionReport.Segment(
                    base: base,
                    file: place.medium.path(of: .compacted(base)).string,
                    bytesBefore: place.geometry.segmentSize,
                    bytesAfter: place.geometry.segmentSize
                )
            }
        } else {
            let damaged = Mutex<[Damage]>([])
            let run = FormChange(place, bases: candidates, jobs: options.jobs) { base, advance throws(LogError) in
                do throws(LogError) {
                    return try compact(base, of: place, options, advance)
                } catch  where FormPair.isDamage(error) {
                    guard let damage = try FormPair(base, of: place).damageOfRaw() else { throw error }
                    damaged.withLock { $0.append(damage) }
                    return nil
                }
            }
            report.segments = try run.run(progress)
            report.damaged += damaged.withLock { $0 }
            report.damaged.sort { ($0.position ?? 0) < ($1.position ?? 0) }
        }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    /// Makes compacted segments raw again.
    ///
    /// Complexity: O(*n*) in the bytes of the segments.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - segments: Positions in the segments that are wanted; nil: all.
    ///   - progress: Called with how far it has come, once for each block; on the caller's thread.
    /// - Throws: `damaged` and the like where a compacted segment is not what was written, and then it stays;
    ///   `missingSegment` for a position in no segment of the log; else as ``compact(at:options:progress:)-(LogLocation,_,_)``.
    /// - Returns: What was done.
    public static func restore(
        at location: LogLocation,
        segments: [Position]? = nil,
        progress: ((CompactionProgress) -> Void)? = nil
    ) throws(LogError) -> CompactionReport {
        let place = try persistentPlace(location)
        let lock = try lock(place)
        defer { withExtendedLifetime(lock) {} }
        let start = ContinuousClock.now
        var report = CompactionReport()
        report.removedLeftovers = try place.medium.removeUnfinishedCompactions()
        let all = try place.bases()
        try place.checkMayWrite(all)
        var wanted = all
        if let segments {
            let bases = Set(segments.map { place.geometry.base(of: $0.rawValue) })
            for base in bases.sorted() where !all.contains(base) { throw place.missing(base, durable: nil) }
            wanted = all.filter { bases.contains($0) }
        }
        var compacted: [UInt64] = []
        for base in wanted where try place.medium.openCompacted(base) != nil {
            if let damage = try FormPair(base, of: place).settle(keeping: .raw(base), &report.kept) {
                report.damaged.append(damage)
            } else if try place.medium.openSegment(base, writable: false) == nil {
                compacted.append(base)
            }
        }
        let run = FormChange(place, bases: compacted, jobs: 1) { base, advance throws(LogError) in
            try restore(base, of: place, advance)
        }
        report.segments = try run.run(progress)
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    private static func persistentPlace(_ location: LogLocation) throws(LogError) -> LogPlace {
        if location.isInMemory {
            throw .inMemory(location, "compaction", advice: "`mlog snapshot --compact` makes a durable, compacted copy")
        }
        return try LogPlace(at: location)
    }

    /// The lock of who changes or removes the forms of segments, held until the object goes.
    static func lock(_ place: LogPlace) throws(LogError) -> WriterLock {
        while true {
            let lock: WriterLock
            do throws(LogError) {
                try place.medium.makeDirectories()
                lock = try place.medium.openLock()
            } catch  where error.code == .permissionDenied {
                throw LogError(
                    .permissionDenied,
                    file: place.medium.path,
                    expected: "write permission: whoever changes or copies old segments keeps others from it",
                    found: error.errno.map { "\($0)" } ?? "none",
                    errno: error.errno,
                    advice: "run it as who may write to the log, and not on a read-only mount"
                )
            }
            guard try lock.tryBecomeCompactor() else { throw LogError.compacting(place) }
            if lock.isCurrent() { return lock }
        }
    }

    // MARK: One segment

    private static func compact(
        _ base: UInt64,
        of place: LogPlace,
        _ options: CompactionOptions,
        _ advance: FormChange.Advance
    ) throws(LogError) -> CompactionReport.Segment? {
        // Retention may have been faster.
        guard let source = try place.medium.openSegment(base, writable: false) else { return nil }
        let header = try SegmentHeader(reading: source, base: base, of: place.identity)
        let compression = try SegmentCompression(
            source,
            header: header,
            blockSize: options.blockSize,
            level: options.level
        )
        var size: UInt64 = 0
        var compared: [mlog_compacted_entry] = []
        try place.medium.publish(.compacted(base)) { target throws(LogError) in
            compared = try compression.write(to: target) { pause throws(LogError) in
                guard let damage = try FormPair(base, of: place).damageOfRaw(pause) else { return }
                throw .damaged(source.path, damage.position ?? base, expected: damage.expected, found: damage.found)
            } progress: { done throws(LogError) in
                try advance(done)
            }
        } check: { file throws(LogError) in
            size = file.byteCount
            // The blocks were compared; that the rest leads to them is seen here.
            guard try CompactedFile(file, base: base, of: place.identity).hasTable(compared) else {
                throw .damaged(file.path, base, expected: "the seek table of what was written", found: "another")
            }
        }
        try place.removeBesideWriters(.raw(base))
        return CompactionReport.Segment(
            base: base,
            file: place.medium.path(of: .compacted(base)).string,
            bytesBefore: source.byteCount,
            bytesAfter: size
        )
    }

    private static func restore(
        _ base: UInt64,
        of place: LogPlace,
        _ advance: FormChange.Advance
    ) throws(LogError) -> CompactionReport.Segment? {
        guard let file = try place.medium.openCompacted(base) else { return nil }
        let source = try CompactedFile(file, base: base, of: place.identity)
        try place.medium.publish(.raw(base)) { target throws(LogError) in
            try target.allocate(source.segmentSize)
            try unsafe source.forEachBlock { offset, bytes throws(LogError) in
                try unsafe target.write(bytes, at: offset)
                try advance(offset + UInt64(bytes.count))
            }
        } check: { file throws(LogError) in
            _ = try SegmentHeader(reading: file, base: base, of: place.identity)
            try source.compare(with: file)
        }
        try place.medium.remove(.compacted(base))
        return CompactionReport.Segment(
            base: base,
            file: place.medium.path(of: .raw(base)).string,
            bytesBefore: file.byteCount,
            bytesAfter: source.segmentSize
        )
    }

    // MARK: Which segments

    private struct Candidates {
        let place: LogPlace
        let options: CompactionOptions
        let durable: UInt64?

        /// Sealed segments before known durable that are raw; where both forms are there, it settles which one stays.
        func find(_ report: inout CompactionReport) throws(LogError) -> [UInt64] {
            let bases = try place.bases()
            try place.checkMayWrite(bases)
            let durable = if let durable { durable } else { try LogReader.knownDurable(of: place) }
            let behind = place.geometry.segmentSize + SegmentGeometry.dataStart
            let sealed = bases.filter { $0 + behind <= durable }
            var found: [UInt64] = []
            for base in sealed.dropLast(options.keep) where try isDue(base) {
                if !options.isDryRun {
                    if let damage = try FormPair(base, of: place).settle(keeping: .compacted(base), &report.kept) {
                        report.damaged.append(damage)
                        continue
                    }
                    if try place.medium.openSegment(base, writable: false) == nil { continue }
                }
                found.append(base)
            }
            return found
        }

        private func isDue(_ base: UInt64) throws(LogError) -> Bool {
            guard let file = try place.medium.openSegment(base, writable: false) else { return false }
            let header = try SegmentHeader(reading: file, base: base, of: place.identity)
            let scanner = SegmentScanner(file, header: header)
            guard let age = options.minimumAge else { return true }
            let largest: Int64
            // A line alone proves nothing.
            if let seal = try scanner.seal(), case .frame(let frame) = try scanner.frame(at: seal.endOffset),
                frame.kind == .end
            {
                largest = seal.largestTimestamp
            } else {
                largest = try scanner.walk(from: SegmentGeometry.dataStart, sequence: 0).largestTimestamp
            }
            let limit = Int64(clamping: age.wholeNanoseconds)
            let (due, overflow) = largest.addingReportingOverflow(limit)
            return !overflow && due <= LogClock.precise.read()
        }
    }
}

extension LogError {
    /// Somebody else has the compactor's lock.
    static func compacting(_ place: LogPlace) -> LogError {
        LogError(
            .compacting,
            file: place.medium.path,
            expected: "nobody else who compacts, restores, retains, copies or repairs",
            found: "somebody",
            advice: "wait until the other one is done"
        )
    }
}
