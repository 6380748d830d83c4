internal import SystemPackage
internal import _CMappedLog

/// Makes a log.
///
/// It appears complete or not at all: `options.json` comes last, and what an interrupted creation left is taken over by
/// the next one.
struct Creation {
    private let path: FilePath
    private let options: LogOptions
    private let opening: OpenOptions

    init(_ path: FilePath, _ options: LogOptions, _ opening: OpenOptions) {
        self.path = path
        self.options = options
        self.opening = opening
    }

    /// Makes the log; where existing ones are accepted, a log that is there is as good.
    func run(acceptsExisting: Bool) throws(LogError) {
        try options.check()
        try opening.check()
        let medium = FileMedium(path: path, permissions: options.permissions)
        try checkPlace(medium, acceptsExisting)
        try medium.makeDirectories()
        try FileMedium.refuseNetworkFileSystem(path)
        let geometry = SegmentGeometry(segmentSize: options.segmentSize)
        let lock = try Writer.lockGate(
            LogPlace(medium: medium, id: .random(), geometry: geometry),
            opening.recoveryTimeout
        )
        defer { lock.unlockGate() }
        // Behind the gate, where two creators at once have become one after the other.
        if medium.isComplete {
            if acceptsExisting { return }
            throw exists
        }
        let place = LogPlace(medium: medium, id: .random(), geometry: geometry)
        try makeFirstSegment(place)
        try medium.publishSettings(LogSettings(id: place.id, options: options))
    }

    private var exists: LogError {
        LogError(.alreadyExists, file: path, advice: "open it, or choose another path")
    }

    /// Only an empty directory, or one that an interrupted creation left, is taken.
    private func checkPlace(_ medium: FileMedium, _ acceptsExisting: Bool) throws(LogError) {
        if medium.isComplete {
            if acceptsExisting { return }
            throw exists
        }
        let names: [String]
        do throws(Errno) { names = try SystemCall.names(in: path) } catch .noSuchFileOrDirectory {
            return
        } catch {
            throw .system(error, "opendir(3)", file: path)
        }
        let ours: Set = ["live", "tailers", "lost+found", "0000000000000000.mlog"]
        if let foreign = names.first(where: { !ours.contains($0) && !$0.hasPrefix(".tmp-") }) {
            // Another creator may have come to its end meanwhile.
            if medium.isComplete && acceptsExisting { return }
            if medium.isComplete { throw exists }
            throw LogError(
                .notEmpty,
                file: path,
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
        let header = SegmentHeader(
            logID: place.id,
            geometry: place.geometry,
            base: 0,
            salt: .random(in: .min ... .max)
        )
        var page = [UInt8](repeating: 0, count: Int(MLOG_ACTIVATION_OFFSET))
        page.replaceSubrange(0..<SegmentHeader.byteCount, with: header.encoded())
        let line = ActivationLine(baseSequence: 0, largestTimestampBefore: .min).encoded(for: header)
        page += unsafe withUnsafeBytes(of: line) { unsafe Array($0) }
        _ = try place.medium.publishSegment(0, header: page, byteCount: place.geometry.segmentSize, withZeros: false)
    }
}

extension LogOptions {
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
