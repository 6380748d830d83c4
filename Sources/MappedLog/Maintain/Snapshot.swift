internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// A consistent copy of a log that others may be writing to (`spec/protocol.md`, "Snapshot").
struct Snapshot {
    private let source: LogPlace
    private let compaction: CompactionOptions?
    private let target: FileMedium
    private let copy: LogPlace

    init(_ source: LogPlace, _ destination: FilePath, _ compaction: CompactionOptions?) throws(LogError) {
        try compaction?.check()
        guard case .file(let destination) = try LogLocation(destination) else {
            throw .inMemory(
                try LogLocation(destination),
                "a copy",
                advice: "copy it to a directory that is not there yet"
            )
        }
        self.source = source
        self.compaction = compaction
        target = FileMedium(path: destination, permissions: try source.medium.readSettings().permissions)
        copy = LogPlace(medium: target, id: source.id, geometry: source.geometry)
    }

    func run() throws(LogError) -> SnapshotReport {
        let start = ContinuousClock.now
        // Until the copy is there, no segment changes its form or goes.
        let lock = source.medium.isPersistent ? try Compactor.lock(source) : nil
        defer { withExtendedLifetime(lock) {} }
        let isNew = try makePlace()
        do throws(LogError) {
            try FileMedium.refuseNetworkFileSystem(target.path)
            let options = try settings()
            let pinned = source.medium.isPersistent ? nil : try pinned()
            let end = if let pinned { pinned.end } else { try LogReader.forMaintenance(source).end() }
            let bases = if let pinned { pinned.segments.keys.sorted() } else { try bases(upTo: end) }
            // Nobody stores to the segments before its own any more, or makes their pages dirty again.
            let settled = source.geometry.base(of: try LogReader.forMaintenance(source).knownDurable())
            for base in bases {
                let segment =
                    if let segment = pinned?.segments[base] { segment } else { try source.openForReading(base) }
                try copy(segment, base, end.position, sharingBlocks: base < settled)
            }
            try copyTailers(end)
            try target.flushDirectory()
            var report = SnapshotReport()
            if let compaction { try compact(compaction, end.position, bases) }
            try verify(end)
            for base in bases {
                guard let file = try target.openForReading(base) else { throw copy.missing(base, durable: nil) }
                report.bytes += file.file.byteCount
                if case .compacted = file { report.compactedSegments += 1 }
            }
            report.destination = target.path.string
            report.segments = bases.count
            report.firstSequence = try copy.activation(bases[0])?.baseSequence ?? 0
            report.nextSequence = end.sequence
            report.endPosition = end.position
            try target.publish(settings: options)
            report.seconds = (ContinuousClock.now - start) / .seconds(1)
            return report
        } catch {
            target.removeUnfinishedLog(isNew: isNew)
            throw error
        }
    }

    /// The options as they stand: members that this version doesn't know too.
    ///
    /// The bound of a log in memory is the memory's: a disk has room for more.
    private func settings() throws(LogError) -> [UInt8] {
        guard !source.medium.isPersistent else { return try source.medium.settingsBytes() }
        let settings = try source.medium.readSettings()
        let options = LogOptions(
            segmentSize: settings.segmentSize,
            permissions: settings.permissions,
            durability: settings.durability
        )
        return try LogSettings(id: source.id, options: options).encoded()
    }

    /// What of a log in memory is copied: all of it is opened first, since nothing else keeps it from being dropped.
    private func pinned() throws(LogError) -> (end: LogReader.End, segments: [UInt64: SegmentFile]) {
        var attempts = 0
        while true {
            attempts += 1
            let end = try LogReader.forMaintenance(source).end()
            var segments: [UInt64: SegmentFile] = [:]
            do throws(LogError) {
                for base in try bases(upTo: end) { segments[base] = try source.openForReading(base) }
                return (end, segments)
            } catch  where error.code == .missingSegment && attempts < 100 {
                continue
            }
        }
    }

    /// - Returns: Whether the directory wasn't there.
    private func makePlace() throws(LogError) -> Bool {
        try refuseOwnDirectory()
        var isNew = false
        var names: [String] = []
        do throws(Errno) { names = try SystemCall.names(in: target.path) } catch .noSuchFileOrDirectory {
            isNew = true
        } catch .notDirectory {
            throw taken(by: "something else")
        } catch {
            throw .system(error, "opendir(3)", file: target.path)
        }
        if let foreign = names.first {
            let isUnfinished = foreign == "tailers" || SegmentName(foreign) != nil
            throw taken(by: isUnfinished && !names.contains("options.json") ? "what an unfinished copy left" : foreign)
        }
        try target.makeCopyDirectories()
        return isNew
    }

    private func taken(by found: String) -> LogError {
        LogError(
            .notEmpty,
            file: target.path,
            expected: "nothing, or an empty directory",
            found: found,
            advice: "choose a path that is not there yet, or empty it"
        )
    }

    /// A copy inside the log would be taken for a part of it by whoever copies or removes the directory.
    private func refuseOwnDirectory() throws(LogError) {
        guard let own = source.medium.path.canonical else { return }
        var parent = target.path.removingLastComponent()
        if parent.isEmpty { parent = "." }
        while parent.canonical == nil, parent.components.count > 1 { parent.removeLastComponent() }
        guard target.path.canonical == own || parent.canonical?.starts(with: own) ?? false else { return }
        throw LogError(
            .invalidOptions,
            file: target.path,
            expected: "a destination outside the log",
            found: "one inside \(own)",
            advice: "choose another path"
        )
    }

    /// The segments with records, and the active one.
    private func bases(upTo end: LogReader.End) throws(LogError) -> [UInt64] {
        let active = source.geometry.base(of: end.position)
        var bases = try source.bases().filter { $0 <= active }
        // Of a log that nobody has recovered the last one may not count.
        if bases.last == active, end.position == active + SegmentGeometry.dataStart,
            try source.activation(active)?.baseSequence != end.sequence
        {
            bases.removeLast()
        }
        return bases
    }

    // MARK: Segments

    private func copy(
        _ segment: SegmentFile,
        _ base: UInt64,
        _ end: UInt64,
        sharingBlocks: Bool
    ) throws(LogError) {
        let isSealed = end >= base + source.geometry.segmentSize
        switch segment {
        case .compacted(let file):
            try target.make(.compacted(base), byteCount: file.byteCount) { copy throws(LogError) in
                try file.copy(0..<file.byteCount, to: copy, sharingBlocks: true)
            }
        case .raw(let file) where isSealed:
            try target.make(.raw(base), byteCount: source.geometry.segmentSize) { copy throws(LogError) in
                // As the original, which the file system may ask for where blocks are to be shared.
                copy.storeInPlace()
                try file.copy(0..<source.geometry.segmentSize, to: copy, sharingBlocks: sharingBlocks)
            }
        case .raw(let file):
            try target.make(.raw(base), byteCount: source.geometry.segmentSize) { copy throws(LogError) in
                try copy.allocate(source.geometry.segmentSize)
                try copyActive(file, base, upTo: end - base, to: copy)
            }
        }
    }

    /// What lies before an offset; a writer may be at work behind it, and on the seal line.
    private func copyActive(
        _ file: OpenFile,
        _ base: UInt64,
        upTo end: UInt64,
        to copy: OpenFile
    ) throws(LogError) {
        try file.copy(0..<end, to: copy, sharingBlocks: false)
        try copy.zero(SealLine.range)
        let scanner = SegmentScanner(file, header: try SegmentHeader(reading: file, base: base, of: source.identity))
        for block in 0..<(end + SegmentGeometry.blockSize - 1) / SegmentGeometry.blockSize {
            guard let entry = try scanner.indexEntry(block: block).entry, entry.offset < end else { continue }
            try copy.write(entry.encoded(for: scanner.header), at: source.geometry.entryOffset(block: block))
        }
    }

    private func compact(_ options: CompactionOptions, _ end: UInt64, _ bases: [UInt64]) throws(LogError) {
        var options = options
        options.isDryRun = false
        // All of it has been flushed; but a segment without a successor has to stay raw.
        let last = (bases.last ?? 0) + SegmentGeometry.dataStart
        _ = try Compactor.run(copy, options, durable: min(end, last), nil)
    }

    // MARK: The rest

    private func copyTailers(_ end: LogReader.End) throws(LogError) {
        for name in try source.medium.namedTailerNames() {
            let file: NamedTailerFile
            do throws(LogError) {
                file = try NamedTailerFile(name, in: source, create: false, writable: false)
            } catch  where error.code == .notFound {
                continue
            }
            guard var place = try file.place else { continue }
            if place.position > end.position { (place.position, place.sequence) = (end.position, end.sequence) }
            try NamedTailerFile(name, in: copy, create: true, writable: true).store(place, durably: true)
        }
    }

    private func verify(_ end: LogReader.End) throws(LogError) {
        var verdict = try LogVerdict(LogCheck(copy, live: nil, hint: nil) { _, _ in })
        try verdict.judgeTailers()
        let report = verdict.report
        if let finding = report.findings.first {
            throw LogError(
                .damaged,
                file: source.medium.path,
                position: finding.position.map { Position(rawValue: $0) },
                expected: "a copy that is whole",
                found: finding.what,
                advice: "run `mlog verify` on the log; the copy was removed"
            )
        }
        guard report.endPosition == end.position, report.nextSequence == end.sequence else {
            throw LogError(
                .damaged,
                file: source.medium.path,
                position: Position(rawValue: report.endPosition),
                expected: "a copy that ends at \(end.position)",
                found: "one that ends before",
                advice: "run `mlog verify` on the log; the copy was removed"
            )
        }
    }
}

extension FilePath {
    /// Without links and dots (`realpath(3)`); nil where nothing is there.
    fileprivate var canonical: FilePath? {
        guard let resolved = unsafe realpath(string, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe FilePath(String(cString: resolved))
    }
}
