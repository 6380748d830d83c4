internal import Glibc
public import SystemPackage
internal import _CMappedLog

/// An append-only log of records in memory-mapped files.
///
/// Any number of threads of any number of processes may append to a log and tail it at the same time; there is no
/// server between them. All methods are safe from any thread. In a forked child every method throws `forked`: open
/// the log anew there, after `exec`. The log closes with its last reference, or with ``close()``.
public final class Log: Sendable {
    /// Where the log is.
    public let path: FilePath
    /// What tells this log from all others.
    public let id: LogID
    /// What the open found and did, where this process was the first writer; nil otherwise.
    public let recovery: RecoveryReport?

    let reader: LogReader
    /// Nil: opened read-only.
    let writer: Writer?
    /// The writer's, for the append path.
    let appender: BorrowedAppender?

    /// The size of each segment in bytes.
    public var segmentSize: UInt64 { reader.log.geometry.segmentSize }

    /// Whether it was opened read-only.
    public var isReadOnly: Bool { writer == nil }

    /// The largest payload of a record, in bytes: what a segment can hold.
    public var maximumRecordSize: Int { Int(reader.log.geometry.largestPayload) }

    private init(_ place: LogPlace, reader: LogReader, writer: Writer?) {
        path = place.medium.path
        id = place.id
        recovery = writer?.recovery
        self.reader = reader
        self.writer = writer
        appender = (writer?.appender).map { BorrowedAppender($0) }
    }

    deinit {
        try? writer?.close()
    }

    // MARK: Create and open

    /// Creates a log, and opens it for appending.
    ///
    /// The directory is made if it isn't there; if it is, it must be empty. The log appears complete or not at all.
    ///
    /// - Parameters:
    ///   - path: The directory.
    ///   - options: What is kept with the log.
    ///   - opening: What this open chooses for itself.
    /// - Throws: `alreadyExists`, `notEmpty`, `invalidOptions`, `networkFileSystem`, `diskFull`, `permissionDenied`,
    ///   `io`.
    /// - Returns: The open log.
    public static func create(
        at path: FilePath,
        options: LogOptions = LogOptions(),
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        try Creation(path, options, opening).run(acceptsExisting: false)
        return try open(at: path, opening: opening)
    }

    /// Opens a log for appending and tailing.
    ///
    /// The first writer recovers it.
    ///
    /// Complexity: O(*n*) in the number of segments after a clean close; after a crash the segments that were not
    /// known to be durable are read once.
    ///
    /// - Parameters:
    ///   - path: The log's directory.
    ///   - opening: What this open chooses for itself.
    /// - Throws: `notFound`, `notALog`; what says that the log can't be read: `damaged`, `missingSegment`,
    ///   `truncatedSegment`, `badMagic`, `foreignSegment`, `unsupportedVersion`, `unsupportedFeature`,
    ///   `unsupportedSegment`; `recovering`, `poisoned`, `foreignPidNamespace`, `foreignControl`,
    ///   `networkFileSystem`, `invalidOptions`, `diskFull`, `permissionDenied`, `io`.
    /// - Returns: The open log.
    public static func open(at path: FilePath, opening: OpenOptions = OpenOptions()) throws(LogError) -> Log {
        try opening.check()
        let place = try LogPlace(at: path)
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
    ///   - path: The log's directory.
    ///   - options: What is kept with the log, if it is created now.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``create(at:options:opening:)`` and ``open(at:opening:)``.
    /// - Returns: The open log.
    public static func openOrCreate(
        at path: FilePath,
        options: LogOptions = LogOptions(),
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        do throws(LogError) {
            return try open(at: path, opening: opening)
        } catch  where error.code == .notFound || error.code == .notALog {
            try Creation(path, options, opening).run(acceptsExisting: true)
            return try open(at: path, opening: opening)
        }
    }

    /// Opens a log for tailing only.
    ///
    /// Needs no write permission anywhere.
    ///
    /// A log that nobody has recovered since a crash is read up to where recovery would cut it.
    ///
    /// - Parameter path: The log's directory.
    /// - Throws: As ``open(at:opening:)``.
    /// - Returns: The open log.
    public static func openReadOnly(at path: FilePath) throws(LogError) -> Log {
        let place = try LogPlace(at: path)
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
    /// - Throws: `forked`; `reentrant` inside an in-place append; `poisoned` where the last flush fails. The log is
    ///   closed all the same, and the next open recovers it.
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
    /// - Throws: As ``endPosition``.
    public var durablePosition: Position {
        get throws(LogError) { Position(rawValue: try checkedReader().knownDurable()) }
    }

    func checkedReader() throws(LogError) -> LogReader {
        try reader.forkGuard.check()
        return reader
    }
}
