internal import SystemPackage
internal import _CMappedLog

/// Makes a log.
///
/// It appears complete or not at all: `options.json` comes last, and what an interrupted creation left is taken over by
/// the next one.
struct Creation {
    private let location: LogLocation
    private let options: LogOptions
    private let opening: OpenOptions

    init(_ location: LogLocation, _ options: LogOptions?, _ opening: OpenOptions) {
        self.location = location
        self.options = options ?? LogOptions(defaultsFor: location)
        self.opening = opening
    }

    /// Makes the log; where existing ones are accepted, a log that is there is as good.
    func run(acceptsExisting: Bool) throws(LogError) {
        try ForkGuard.refuseForkedChild()
        var options = options
        if location.isInMemory { try options.adaptToMemory(location) }
        try options.check()
        try opening.check()
        let id = LogID.random()
        let settings = LogSettings(id: id, options: options)
        switch location {
        case .file(let path):
            let medium = FileMedium(path: path, permissions: options.permissions)
            try checkPlace(medium, acceptsExisting)
            if !medium.isComplete { try medium.checkOwners() }
            try medium.makeDirectories()
            try FileMedium.refuseNetworkFileSystem(path)
            try run(medium, id, settings, acceptsExisting)
        case .sharedMemory(let text):
            let name = try SharedMemoryName(text)
            try SharedMemoryName.checkRoot()
            try checkSize(options)
            if try name.identity() == nil {
                let medium = SharedMemoryMedium(name, permissions: options.permissions)
                try medium.makeDirectory(medium.path, medium.directoryMode(options.permissions))
            }
            // Whoever made it: it is this user's, and what is this user's nobody else replaces.
            let medium = SharedMemoryMedium(name, permissions: options.permissions, identity: try name.identity())
            try checkPlace(medium, acceptsExisting)
            try medium.makeDirectories()
            try run(medium, id, settings, acceptsExisting)
        case .systemV(let key):
            let isNew = try SystemVCreation(key, id, settings, timeout: opening.recoveryTimeout).run()
            if !isNew && !acceptsExisting { throw exists }
        }
    }

    private func run(
        _ medium: some DirectoryMedium,
        _ id: LogID,
        _ settings: LogSettings,
        _ acceptsExisting: Bool
    ) throws(LogError) {
        let geometry = SegmentGeometry(segmentSize: settings.segmentSize)
        let place = LogPlace(medium: medium, id: id, geometry: geometry)
        let lock = try Writer.lockGate(place, opening.recoveryTimeout)
        defer { lock.unlockGate() }
        // Behind the gate, where two creators at once have become one after the other.
        if medium.isComplete {
            if acceptsExisting { return }
            throw exists
        }
        try medium.checkOwners()
        try makeFirstSegment(place)
        try medium.publishSettings(settings)
    }

    private var exists: LogError {
        LogError(.alreadyExists, file: location.path, advice: "open it, or choose another path")
    }

    /// That it can never become whole is said now, and not by the append that finds no space.
    private func checkSize(_ options: LogOptions) throws(LogError) {
        let root = SharedMemoryName.root
        let size: UInt64
        do throws(Errno) { size = try SystemCall.fileSystemSize(root) } catch {
            throw .system(error, "statvfs(3)", file: root)
        }
        // Without a limit it tells 0.
        let needed = options.bytesInMemory
        guard size > 0, needed > size else { return }
        throw LogError(
            .diskFull,
            file: root,
            expected: "\(needed) bytes, for \(options.retention?.segments ?? 0) segments and the prepared one",
            found: "\(size)",
            advice: "choose fewer or smaller segments, or enlarge it (`mount -o remount,size=…`; of a container, "
                + "`--shm-size`)"
        )
    }

    /// Only an empty directory, or one that an interrupted creation left, is taken.
    private func checkPlace(_ medium: some DirectoryMedium, _ acceptsExisting: Bool) throws(LogError) {
        if medium.isComplete {
            if acceptsExisting { return }
            throw exists
        }
        let names: [String]
        do throws(Errno) { names = try SystemCall.names(in: medium.path) } catch .noSuchFileOrDirectory {
            return
        } catch {
            throw .system(error, "opendir(3)", file: medium.path)
        }
        let ours: Set = ["live", "tailers", "lost+found", "0000000000000000.mlog"]
        if let foreign = names.first(where: { !ours.contains($0) && !$0.hasPrefix(".tmp-") }) {
            // Another creator may have come to its end meanwhile.
            if medium.isComplete && acceptsExisting { return }
            if medium.isComplete { throw exists }
            throw LogError(
                .notEmpty,
                file: medium.path,
                expected: "an empty directory",
                found: foreign,
                advice: "choose a path that is not there yet, or empty it"
            )
        }
    }

    private func makeFirstSegment(_ place: LogPlace) throws(LogError) {
        try place.medium.removeUnpublished()
        if let file = try place.medium.openSegment(0, writable: false) {
            // Of an interrupted creation it is empty. If it isn't, this is a log that lost its options.
            if let found = try file.firstNonZero(from: SegmentGeometry.dataStart) {
                throw LogError(
                    .notEmpty,
                    file: file.path,
                    position: Position(rawValue: found),
                    expected: "no options.json because nothing was appended yet",
                    found: "data",
                    advice: "restore options.json from a copy, or run `mlog repair`"
                )
            }
            do throws(Errno) { try SystemCall.unlink(file.path) } catch {
                throw .system(error, "unlink(2)", file: file.path)
            }
        }
        try place.publishFirstSegment()
    }
}

extension LogPlace {
    /// Makes segment 0, with its activation line.
    func publishFirstSegment() throws(LogError) {
        let header = SegmentHeader(logID: id, geometry: geometry, base: 0, salt: .random(in: .min ... .max))
        var page = [UInt8](repeating: 0, count: Int(MLOG_ACTIVATION_OFFSET))
        page.replaceSubrange(0..<SegmentHeader.byteCount, with: header.encoded())
        let line = ActivationLine(baseSequence: 0, largestTimestampBefore: .min).encoded(for: header)
        page += unsafe withUnsafeBytes(of: line) { unsafe Array($0) }
        _ = try medium.publishSegment(
            0,
            header: page,
            byteCount: geometry.segmentSize,
            namesAreDurable: false
        )
    }
}

extension LogOptions {
    /// What a log in memory takes: the segments with records, the prepared one, and some pages.
    var bytesInMemory: UInt64 {
        let segments = UInt64(retention?.segments ?? Retention.boundInMemory) + 1
        let (bytes, overflow) = segments.multipliedReportingOverflow(by: segmentSize)
        let (sum, overflow2) = bytes.addingReportingOverflow(64 << 10)
        return overflow || overflow2 ? .max : sum
    }

    /// Puts in the bound that a log in memory always has.
    ///
    /// - Throws: `unsuitableMedium` where it is to be compacted.
    mutating func adaptToMemory(_ location: LogLocation) throws(LogError) {
        guard compactAfter == nil else {
            throw .inMemory(
                location,
                "compaction",
                advice: "leave it out, and choose a bound by the number of segments"
            )
        }
        var rule = retention ?? Retention()
        let segments = rule.segments ?? Retention.boundInMemory
        rule.segments = segments
        retention = rule
        guard location.medium == .systemV else { return }
        // With the prepared one, and one that is being made in the place of another.
        guard segments <= Int(MLOG_TABLE_SEGMENTS) - 4 else {
            throw LogError(
                .invalidOptions,
                expected: "a bound of at most \(Int(MLOG_TABLE_SEGMENTS) - 4) segments in System V shared memory",
                found: "\(segments)",
                advice: "choose fewer, larger ones"
            )
        }
        guard permissions == .ownerReadWrite else {
            throw LogError(
                .invalidOptions,
                expected: "permissions of 0600, since a key doesn't tell whose log it is",
                found: "0\(String(permissions.rawValue, radix: 8))",
                advice: "use shm:NAME for a log that other users may open"
            )
        }
    }

    /// - Throws: `invalidOptions`.
    func check() throws(LogError) {
        guard SegmentGeometry.isValidSize(segmentSize) else {
            throw LogError(
                .invalidOptions,
                expected: "a segment size of 64 KiB to 4 GiB, a multiple of 64 KiB",
                found: "\(segmentSize) bytes",
                advice: "choose such a size"
            )
        }
        guard permissions.isSuperset(of: .ownerReadWrite), permissions.rawValue & ~0o666 == 0 else {
            throw LogError(
                .invalidOptions,
                expected: "permissions of 0600 to 0666 that let the owner read and write",
                found: "0\(String(permissions.rawValue, radix: 8))",
                advice: "choose such permissions"
            )
        }
        try durability.check()
        try retention?.check()
        if let compactAfter, !(.zero ..< .seconds(1 << 62)).contains(compactAfter) {
            throw LogError(
                .invalidOptions,
                expected: "compaction after 0 seconds or more",
                found: "\(compactAfter)",
                advice: "choose another age"
            )
        }
    }
}

extension OpenOptions {
    /// - Throws: `invalidOptions`.
    func check() throws(LogError) {
        try durability?.check()
        guard stallTimeout > .zero, recoveryTimeout > .zero else {
            throw LogError(
                .invalidOptions,
                expected: "timeouts of more than 0",
                found: "\(stallTimeout), \(recoveryTimeout)",
                advice: "choose longer ones"
            )
        }
    }
}

extension Durability {
    fileprivate func check() throws(LogError) {
        switch self {
        case .interval(let duration) where duration <= .zero:
            throw LogError(
                .invalidOptions,
                expected: "an interval of more than 0",
                found: "\(duration)",
                advice: "choose `everyAppend` for no delay"
            )
        case .bytes(0):
            throw LogError(
                .invalidOptions,
                expected: "more than 0 bytes",
                found: "0",
                advice: "choose `everyAppend`"
            )
        default: break
        }
    }
}
