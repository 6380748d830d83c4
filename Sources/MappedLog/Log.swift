internal import Glibc
public import SystemPackage
internal import _CMappedLog

/// An append-only log of records in memory-mapped files, or in memory that processes share.
///
/// Any number of threads of any number of processes may append to a log and tail it at the same time; there is no
/// server between them. All methods are safe from any thread. The log closes with its last reference, or with
/// ``close()``.
///
/// In a child of a process that had used MappedLog when it forked, all of it throws `forked`, also what opens or makes a
/// log: a child uses logs only after `exec`. It shouldn't get so far: Swift's runtime may hang in a child forked from a
/// process with threads, of which MappedLog has some, for a lock that one of them held. Between fork and exec no Swift.
public final class Log: Sendable {
    /// Where the log is.
    public let location: LogLocation
    /// What errors call the log: of files, and in `/dev/shm`, the path of its directory.
    public let path: FilePath
    /// What tells this log from all others.
    public let id: LogID
    /// What the open found and did, where this process was the first writer; nil otherwise.
    public let recovery: RecoveryReport?

    let reader: LogReader
    /// Nil: opened read-only.
    let writer: Writer?
    /// The writer's, for the append path.
    let appender: PlainAppender?

    /// The size of each segment in bytes.
    public var segmentSize: UInt64 { reader.log.geometry.segmentSize }

    /// Whether it was opened read-only.
    public var isReadOnly: Bool { writer == nil }

    /// The largest payload of a record, in bytes: what a segment can hold.
    public var maximumRecordSize: Int { Int(reader.log.geometry.largestPayload) }

    private init(_ place: LogPlace, reader: LogReader, writer: Writer?) {
        location = place.medium.location
        path = place.medium.path
        id = place.id
        recovery = writer?.recovery
        self.reader = reader
        self.writer = writer
        appender = writer.map { PlainAppender($0) }
    }

    deinit {
        try? writer?.close()
    }

    // MARK: Create and open

    /// Creates a log, and opens it for appending.
    ///
    /// A directory is made if it isn't there; if it is, it must be empty. The log appears complete or not at all.
    ///
    /// - Parameters:
    ///   - location: Where it is to be.
    ///   - options: What is kept with the log; nil: ``LogOptions/init(defaultsFor:)``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: `alreadyExists`, `notEmpty`, `invalidOptions`, `networkFileSystem`, `diskFull`, `permissionDenied`,
    ///   `io`; in memory `occupied`, `invalidName`, `unsuitableMedium`, `systemLimit`.
    /// - Returns: The open log.
    public static func create(
        at location: LogLocation,
        options: LogOptions? = nil,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        try Creation(location, options, opening).run(acceptsExisting: false)
        return try open(at: location, opening: opening)
    }

    /// Opens a log for appending and tailing.
    ///
    /// The first writer recovers it.
    ///
    /// Complexity: O(*n*) in the number of segments after a clean close; after a crash the segments that were not
    /// known to be durable are read once.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - opening: What this open chooses for itself.
    /// - Throws: `notFound`, `notALog`; what says that the log can't be read: `damaged`, `missingSegment`,
    ///   `truncatedSegment`, `badMagic`, `foreignSegment`, `unsupportedVersion`, `unsupportedFeature`,
    ///   `unsupportedSegment`; `recovering`, `poisoned`, `foreignPidNamespace`, `foreignControl`,
    ///   `networkFileSystem`, `invalidOptions`, `diskFull`, `permissionDenied`, `io`; in memory `occupied`,
    ///   `invalidName`, `unsuitableMedium`, `earlierBoot`.
    /// - Returns: The open log.
    public static func open(
        at location: LogLocation,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        try opening.check()
        let place = try LogPlace(at: location)
        let writer = try Writer(place, opening)
        let reader = LogReader(
            place,
            control: writer.control,
            waiters: writer.waiters,
            system: writer.system,
            forkGuard: try ForkGuard()
        )
        return Log(place, reader: reader, writer: writer)
    }

    /// Opens a log for appending and tailing, and creates it first if there is none.
    ///
    /// When several processes do this at once, one creates it and all open it.
    ///
    /// - Parameters:
    ///   - location: Where the log is, or is to be.
    ///   - options: What is kept with the log, if it is created now; nil: ``LogOptions/init(defaultsFor:)``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``create(at:options:opening:)-(LogLocation,_,_)`` and ``open(at:opening:)-(LogLocation,_)``.
    /// - Returns: The open log.
    public static func openOrCreate(
        at location: LogLocation,
        options: LogOptions? = nil,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        do throws(LogError) {
            return try open(at: location, opening: opening)
        } catch  where error.code == .notFound || error.code == .notALog {
            try Creation(location, options, opening).run(acceptsExisting: true)
            return try open(at: location, opening: opening)
        }
    }

    /// Opens a log for tailing only.
    ///
    /// Needs no write permission anywhere.
    ///
    /// A log that nobody has recovered since a crash is read up to where recovery would cut it.
    ///
    /// - Parameter location: Where the log is.
    /// - Throws: As ``open(at:opening:)-(LogLocation,_)``.
    /// - Returns: The open log.
    public static func openReadOnly(at location: LogLocation) throws(LogError) -> Log {
        let place = try LogPlace(at: location)
        let waiters: Waiters?
        if let file = try place.medium.openWaiters(), file.byteCount >= UInt64(MLOG_WAITERS_BYTES) {
            waiters = try Waiters(file, asWriter: false)
        } else {
            waiters = nil
        }
        var control: ControlBlock?
        if let file = try? place.medium.openControl(writable: false) {
            control = try? ControlBlock(file, writable: false)
        }
        let reader = LogReader(
            place,
            control: control,
            waiters: waiters,
            system: try .current(),
            forkGuard: try ForkGuard()
        )
        return Log(place, reader: reader, writer: nil)
    }

    /// Makes everything durable and closes the log for this process.
    ///
    /// Tailers of it go on reading.
    ///
    /// Waits for the appends of other threads that are under way; later ones throw `closed`. Closing twice is fine.
    ///
    /// - Throws: `forked`; `reentrant` inside an in-place append; `poisoned` where the last flush fails; `flushStalled`
    ///   where another process is stopped inside a flush, `recovering` where one is while it opens or closes the log. The
    ///   log is closed all the same, and the next open recovers it.
    public func close() throws(LogError) {
        _ = try checkedReader()
        try writer?.close()
    }

    // MARK: Where it stands

    /// The position behind the last record, and of the next.
    ///
    /// - Throws: As ``openReadOnly(at:)``, for a log that nobody has recovered.
    public var endPosition: Position {
        get throws(LogError) { Position(rawValue: try checkedReader().end().position) }
    }

    /// The sequence of the next record: how many were ever appended.
    ///
    /// - Throws: As ``endPosition``.
    public var nextSequence: UInt64 {
        get throws(LogError) { try checkedReader().end().sequence }
    }

    /// The durable watermark: everything before this position is known to be on the disk.
    ///
    /// In memory it is the end: nothing is more durable than committed.
    ///
    /// - Throws: As ``endPosition``.
    public var durablePosition: Position {
        get throws(LogError) {
            let reader = try checkedReader()
            return Position(rawValue: location.isInMemory ? try reader.end().position : try reader.knownDurable())
        }
    }

    func checkedReader() throws(LogError) -> LogReader {
        try reader.forkGuard.check()
        return reader
    }
}
