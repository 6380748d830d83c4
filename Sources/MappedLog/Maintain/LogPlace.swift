internal import SystemPackage
internal import _CMappedLog

/// A log as its maintenance sees it: a medium, an identity, a geometry.
struct LogPlace: Sendable {
    let medium: any Medium
    let id: LogID
    let geometry: SegmentGeometry

    var identity: (id: LogID, geometry: SegmentGeometry) { (id, geometry) }

    init(medium: any Medium, id: LogID, geometry: SegmentGeometry) {
        self.medium = medium
        self.id = id
        self.geometry = geometry
    }

    /// Finds a log.
    ///
    /// - Throws: `notFound`, `notALog`, `damaged` (`options.json`), `networkFileSystem`, `unsupportedVersion`,
    ///   `permissionDenied`; of a log in memory `occupied`, `earlierBoot`, `unsuitableMedium`, `invalidName`.
    init(at location: LogLocation) throws(LogError) {
        if case .file(let path) = location { try FileMedium.refuseNetworkFileSystem(path) }
        try self.init(reading: location)
        if location.isInMemory { try refuseEarlierBoot() }
    }

    /// Finds a log, of files on any file system: for those who map nothing.
    init(reading location: LogLocation) throws(LogError) {
        let unread = try Self.unreadMedium(location)
        let settings = try unread.readSettings()
        guard let id = LogID(settings.id), id.description == settings.id else {
            throw LogError(
                .damaged,
                file: unread.settingsPath,
                expected: "a UUID as id, in lower case",
                found: settings.id,
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        self.init(
            medium: try Self.medium(location, settings),
            id: id,
            geometry: SegmentGeometry(segmentSize: settings.segmentSize)
        )
    }

    /// The place of a log whose options nobody has read yet.
    static func unreadMedium(_ location: LogLocation) throws(LogError) -> any Medium {
        try ForkGuard.refuseForkedChild()
        let defaults = LogOptions(defaultsFor: location)
        switch location {
        case .file(let path): return FileMedium(path: path.absolute, permissions: defaults.permissions)
        case .sharedMemory(let text):
            let name = try SharedMemoryName(text)
            guard try name.identity() != nil else {
                try SharedMemoryName.checkRoot()
                throw LogError(
                    .notFound,
                    file: location.path,
                    expected: "a log at \(name.directory)",
                    found: "nothing",
                    advice: "check the name (`mlog list shm`), or make a log with `mlog create`"
                )
            }
            return SharedMemoryMedium(name, permissions: defaults.permissions)
        case .systemV(let key): return try SystemVMedium(key, bound: nil)
        }
    }

    /// The medium of a log with these options.
    static func medium(_ location: LogLocation, _ settings: LogSettings) throws(LogError) -> any Medium {
        switch location {
        case .file(let given):
            let path = given.absolute
            return FileMedium(path: path, permissions: settings.permissions, identity: try .init(path))
        case .sharedMemory(let text):
            let name = try SharedMemoryName(text)
            return SharedMemoryMedium(
                name,
                permissions: settings.permissions,
                identity: try name.identity(),
                bound: settings.retention?.segments ?? Retention.boundInMemory
            )
        case .systemV(let key):
            return try SystemVMedium(key, bound: settings.retention?.segments ?? Retention.boundInMemory)
        }
    }

    /// What lies in memory goes with the machine's; what is there all the same was put there by somebody else.
    private func refuseEarlierBoot() throws(LogError) {
        guard let file = try medium.openControl(writable: false),
            try ControlBlock(file, writable: false).isOfEarlierBoot(on: .current())
        else { return }
        throw LogError(
            .earlierBoot,
            file: medium.path,
            expected: "a log of this boot",
            found: "one that was never made durable, of an earlier one",
            advice: "remove it with `mlog destroy \(medium.location)`"
        )
    }

    /// The bases of all segments, raw or compacted, which follow each other without a gap.
    ///
    /// - Throws: `unsupportedSegment` where there is one of another form only, `missingSegment` where one is not there,
    ///   `damaged` where a name is no base position.
    func bases() throws(LogError) -> [UInt64] {
        var attempts = 0
        var before: [UInt64] = []
        while true {
            let bases = try listedBases()
            // While segments come and go a list may lack one; who lists twice and finds the same can believe it.
            defer { before = bases }
            guard let first = bases.first else {
                throw LogError(
                    .missingSegment,
                    file: medium.path,
                    expected: "at least one segment",
                    found: "none",
                    advice: "restore the log from a copy"
                )
            }
            // A directory that is read while a segment gets its other form may show neither.
            attempts += 1
            if let hole = hole(in: bases) {
                if attempts < 100, bases != before { continue }
                if attempts < 100, try medium.openForReading(hole) != nil { continue }
                throw missing(hole, durable: nil)
            }
            let other = first.subtractingReportingOverflow(geometry.segmentSize)
            if !other.overflow, attempts < 100, try medium.openForReading(other.partialValue) != nil { continue }
            return bases
        }
    }

    private func hole(in bases: [UInt64]) -> UInt64? {
        for (base, next) in zip(bases, bases.dropFirst()) where next != base + geometry.segmentSize {
            return base + geometry.segmentSize
        }
        return nil
    }

    private func listedBases() throws(LogError) -> [UInt64] {
        var bases: [UInt64] = []
        for name in try medium.listSegments() {
            guard geometry.isBase(name.base) else {
                throw LogError(
                    .damaged,
                    file: medium.segmentPath(name.base),
                    position: Position(rawValue: name.base),
                    expected: "a name that is a multiple of \(geometry.segmentSize)",
                    found: "another",
                    advice: "give the file the name of its position, or run `mlog repair`"
                )
            }
            // The form that counts comes first; beside it no other does.
            if bases.last == name.base { continue }
            if case .unsupported(let base, let file) = name { throw unsupportedForm(base, file) }
            bases.append(name.base)
        }
        return bases
    }

    /// The segment's file in the form that counts.
    func openForReading(_ base: UInt64) throws(LogError) -> SegmentFile {
        guard let file = try medium.openForReading(base) else { throw missing(base, durable: nil) }
        return file
    }

    /// Opens a segment to be read frame by frame.
    func scanner(_ base: UInt64) throws(LogError) -> SegmentScanner {
        try openForReading(base).scanner(base: base, of: identity)
    }

    /// Opens a raw segment to be written to.
    func writableScanner(_ base: UInt64) throws(LogError) -> SegmentScanner {
        guard let file = try medium.openSegment(base, writable: true) else { throw missing(base, durable: nil) }
        return SegmentScanner(file, header: try SegmentHeader(reading: file, base: base, of: identity))
    }

    /// Refuses to write to a log that has a segment with a feature that this version may only read.
    func checkMayWrite(_ bases: [UInt64]) throws(LogError) {
        for base in bases where try !openForReading(base).header(base: base, of: identity).mayWrite {
            throw mustNotWrite(base)
        }
    }

    /// The activation line of a segment; nil where it is absent or bad.
    func activation(_ base: UInt64) throws(LogError) -> ActivationLine? {
        switch try openForReading(base) {
        case .compacted(let file):
            return try CompactedHeader(reading: file, base: base, of: identity).activation
        case .raw(let file):
            let header = try SegmentHeader(reading: file, base: base, of: identity)
            var raw = mlog_activation()
            try file.read(&raw, at: UInt64(MLOG_ACTIVATION_OFFSET))
            return ActivationLine(raw, header: header)
        }
    }

    func missing(_ base: UInt64, durable: UInt64?) -> LogError {
        LogError(
            .missingSegment,
            file: medium.segmentPath(base),
            position: Position(rawValue: base + SegmentGeometry.dataStart),
            expected: durable.map { "a segment, known durable up to \($0)" } ?? "a segment between its neighbours",
            found: "no file",
            advice: "restore the file from a copy, or run `mlog repair`"
        )
    }

    /// A segment in a form that this version doesn't read.
    func unsupportedForm(_ base: UInt64, _ name: String) -> LogError {
        LogError(
            .unsupportedSegment,
            file: medium.path.appending(name),
            position: Position(rawValue: base + SegmentGeometry.dataStart),
            expected: "a name that ends in .mlog or .mlog.lz4",
            found: name,
            advice: "use a version of MappedLog that knows this form"
        )
    }

    /// The activation line of a segment that was activated is not what it must be.
    func badActivation(_ base: UInt64, expected: String = "an activation line") -> LogError {
        .damaged(
            medium.segmentPath(base),
            base + SegmentGeometry.dataStart,
            expected: expected,
            found: "none, or another, at offset \(MLOG_ACTIVATION_OFFSET)"
        )
    }

    func unsupported(_ part: String, _ file: FilePath, _ position: UInt64) -> LogError {
        LogError(
            .unsupportedSegment,
            file: file,
            position: Position(rawValue: position),
            expected: "a frame of format \(MLOG_FORMAT_MAJOR).\(MLOG_FORMAT_MINOR)",
            found: part,
            advice: "use a version of MappedLog that knows it"
        )
    }
}

extension LogPlace {
    /// Takes one form of a segment away where the other one stays.
    ///
    /// Inside the gate where writers live: a preparer must not take the name for a free one.
    func removeBesideWriters(_ form: SegmentName) throws(LogError) {
        guard try medium.hasWriters() else { return try medium.remove(form) }
        let gate = try Writer.lockGate(self, OpenOptions().recoveryTimeout)
        defer { gate.unlockGate() }
        try medium.remove(form)
    }
}

extension FilePath {
    /// A program may change its working directory while the log is open.
    var absolute: FilePath { isAbsolute ? self : SystemCall.workingDirectory.pushing(self) }
}
