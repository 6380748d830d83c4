public import SystemPackage

/// Why an operation on a log failed: what, where, what was expected and found, and what to do about it.
///
/// Compare ``code`` to react to a kind of failure. ``description`` is one line for a person.
/// Safe to send between threads.
public struct LogError: Error, Sendable, CustomStringConvertible {
    /// A kind of failure.
    ///
    /// The set may grow in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The code's name, as in the documentation.
        public let rawValue: String

        /// Creates a code from its name.
        ///
        /// - Parameter rawValue: The code's name.
        public init(rawValue: String) {
            self.rawValue = rawValue
        }
    }

    /// The kind of failure.
    public var code: Code { details.code }
    /// The file concerned.
    public var file: FilePath? { details.file }
    /// The position in the log, or nil where the failure isn't about one place.
    public var position: Position? { details.position }
    /// What should have been there.
    public var expected: String? { details.expected }
    /// What was there instead.
    public var found: String? { details.found }
    /// What the system said.
    public var errno: Errno? { details.errno }
    /// The error that an in-place append's closure threw (``Code/fillFailed``).
    public var underlyingError: (any Error)? { details.underlyingError }
    /// The sequences that are gone, for ``Code/recordsGone``.
    public var goneSequences: Range<UInt64>? { details.goneSequences }
    /// What to do.
    public var advice: String { details.advice }

    /// One reference, so that a call that may throw costs no more than one that may not.
    private let details: Details

    private final class Details: Sendable {
        let code: Code
        let file: FilePath?
        let position: Position?
        let expected: String?
        let found: String?
        let errno: Errno?
        let underlyingError: (any Error)?
        let goneSequences: Range<UInt64>?
        let advice: String

        init(
            _ code: Code,
            _ file: FilePath?,
            _ position: Position?,
            _ expected: String?,
            _ found: String?,
            _ errno: Errno?,
            _ underlyingError: (any Error)?,
            _ goneSequences: Range<UInt64>?,
            _ advice: String
        ) {
            self.code = code
            self.file = file
            self.position = position
            self.expected = expected
            self.found = found
            self.errno = errno
            self.underlyingError = underlyingError
            self.goneSequences = goneSequences
            self.advice = advice
        }
    }

    @inline(never)
    init(
        _ code: Code,
        file: FilePath? = nil,
        position: Position? = nil,
        expected: String? = nil,
        found: String? = nil,
        errno: Errno? = nil,
        underlyingError: (any Error)? = nil,
        goneSequences: Range<UInt64>? = nil,
        advice: String
    ) {
        details = Details(
            code,
            file,
            position,
            expected,
            found,
            errno,
            underlyingError,
            goneSequences,
            advice
        )
    }

    /// The failure in one line: what, file, position, expected, found, what to do.
    public var description: String {
        var text = code.summary
        if let file { text += ": \(file)" }
        if let position { text += " at position \(position.rawValue)" }
        if let goneSequences { text += ": sequences \(goneSequences.lowerBound)..<\(goneSequences.upperBound)" }
        if let expected { text += ": expected \(expected)" }
        if let found { text += expected == nil ? ": found \(found)" : ", found \(found)" }
        if let errno { text += (found == "\(errno)" ? "" : ": \(errno)") + " (errno \(errno.rawValue))" }
        if let underlyingError { text += ": \(underlyingError)" }
        return "\(text); \(advice)"
    }
}

extension LogError.Code {
    /// No log at this path.
    public static let notFound = Self(rawValue: "notFound")
    /// The path is not a log, or its creation was never finished.
    public static let notALog = Self(rawValue: "notALog")
    /// `create` found a log at this path.
    public static let alreadyExists = Self(rawValue: "alreadyExists")
    /// `create` found a directory with other things in it.
    public static let notEmpty = Self(rawValue: "notEmpty")
    /// A segment file is shorter than its size.
    public static let truncatedSegment = Self(rawValue: "truncatedSegment")
    /// A segment file doesn't begin with the magic of a segment.
    public static let badMagic = Self(rawValue: "badMagic")
    /// Written in a newer major version of the format.
    public static let unsupportedVersion = Self(rawValue: "unsupportedVersion")
    /// The segment uses a feature that this version doesn't know, or may read but not write.
    public static let unsupportedFeature = Self(rawValue: "unsupportedFeature")
    /// A segment's form, or the kind or flags of a frame, is one that this version doesn't know.
    public static let unsupportedSegment = Self(rawValue: "unsupportedSegment")
    /// Bytes that were known to be durable are no longer what was written.
    public static let damaged = Self(rawValue: "damaged")
    /// A segment between two others is not there.
    public static let missingSegment = Self(rawValue: "missingSegment")
    /// A segment belongs to another log.
    public static let foreignSegment = Self(rawValue: "foreignSegment")
    /// The record or batch doesn't fit into a segment.
    public static let recordTooLarge = Self(rawValue: "recordTooLarge")
    /// A batch without records.
    public static let emptyBatch = Self(rawValue: "emptyBatch")
    /// The closure of an in-place append threw; nothing was appended.
    public static let fillFailed = Self(rawValue: "fillFailed")
    /// The disk, the quota or the shared memory is full.
    public static let diskFull = Self(rawValue: "diskFull")
    /// The system denied access.
    public static let permissionDenied = Self(rawValue: "permissionDenied")
    /// The log is on a file system whose mappings are not shared between machines.
    public static let networkFileSystem = Self(rawValue: "networkFileSystem")
    /// Another process is recovering the log, and took too long.
    public static let recovering = Self(rawValue: "recovering")
    /// Writers have the log open, and what was asked for needs it closed.
    public static let writersAlive = Self(rawValue: "writersAlive")
    /// Used in a forked child.
    public static let forked = Self(rawValue: "forked")
    /// The log's writers live in another pid namespace.
    public static let foreignPidNamespace = Self(rawValue: "foreignPidNamespace")
    /// The log's writers use another layout of locks: another C library, machine word or library version.
    public static let foreignControl = Self(rawValue: "foreignControl")
    /// A flush failed; nothing more is written until all writers closed and one recovers.
    public static let poisoned = Self(rawValue: "poisoned")
    /// The repair after a writer's death failed; nothing more is written until all writers closed and one recovers.
    public static let needsRecovery = Self(rawValue: "needsRecovery")
    /// Another writer holds the append lock and doesn't go on.
    public static let writerStalled = Self(rawValue: "writerStalled")
    /// Another process is stopped inside a flush; what was to be made durable is appended, and may be lost to a crash of
    /// the machine until a later flush.
    public static let flushStalled = Self(rawValue: "flushStalled")
    /// Called inside the closure of an in-place append.
    public static let reentrant = Self(rawValue: "reentrant")
    /// The log's directory, or its `live/`, was moved, removed or replaced while it was open.
    public static let moved = Self(rawValue: "moved")
    /// The log was closed.
    public static let closed = Self(rawValue: "closed")
    /// The log was opened read-only.
    public static let readOnly = Self(rawValue: "readOnly")
    /// Records that a tailer was to read next are not in the log any more.
    public static let recordsGone = Self(rawValue: "recordsGone")
    /// A place to start from that is not in the log.
    public static let outOfRange = Self(rawValue: "outOfRange")
    /// The named tailer is open elsewhere.
    public static let tailerInUse = Self(rawValue: "tailerInUse")
    /// Not a name for a named tailer.
    public static let invalidName = Self(rawValue: "invalidName")
    /// An option is out of its range.
    public static let invalidOptions = Self(rawValue: "invalidOptions")
    /// Somebody else compacts, restores, removes or copies segments of the log.
    public static let compacting = Self(rawValue: "compacting")
    /// What was asked for makes no sense for a log on this medium, or the system doesn't have the medium.
    public static let unsuitableMedium = Self(rawValue: "unsuitableMedium")
    /// The path of a log that is to be made, or the name or key of one in memory, is taken by something of another user,
    /// or by what is no log.
    public static let occupied = Self(rawValue: "occupied")
    /// A log in memory that was last written before the machine was started the last time.
    public static let earlierBoot = Self(rawValue: "earlierBoot")
    /// A limit of the system for shared memory or semaphores is reached.
    public static let systemLimit = Self(rawValue: "systemLimit")
    /// The system reported any other failure.
    public static let io = Self(rawValue: "io")

    var summary: String {
        switch self {
        case .notFound: "no log here"
        case .notALog: "not a log"
        case .alreadyExists: "a log exists already"
        case .notEmpty: "the directory is not empty"
        case .truncatedSegment: "truncated segment"
        case .badMagic: "wrong magic"
        case .unsupportedVersion: "unsupported format version"
        case .unsupportedFeature: "unsupported feature"
        case .unsupportedSegment: "unsupported segment or frame"
        case .damaged: "damage"
        case .missingSegment: "missing segment"
        case .foreignSegment: "segment of another log"
        case .recordTooLarge: "record too large"
        case .emptyBatch: "empty batch"
        case .fillFailed: "in-place append failed, nothing was appended"
        case .diskFull: "no space left"
        case .permissionDenied: "permission denied"
        case .networkFileSystem: "network file system"
        case .recovering: "the log is being recovered or opened by another process"
        case .writersAlive: "the log is open for writing"
        case .forked: "used in a forked child"
        case .foreignPidNamespace: "the log's writers are in another pid namespace"
        case .foreignControl: "the log's writers use another lock layout"
        case .poisoned: "a flush failed, the log is closed for writing"
        case .needsRecovery: "a repair failed, the log is closed for writing"
        case .flushStalled: "another process is in a flush and does not go on"
        case .writerStalled: "another writer holds the append lock and does not go on"
        case .reentrant: "called inside an in-place append"
        case .moved: "the log was moved, removed or replaced while it was open"
        case .closed: "the log was closed"
        case .readOnly: "the log is open read-only"
        case .recordsGone: "records are gone"
        case .outOfRange: "not in the log"
        case .tailerInUse: "the named tailer is open elsewhere"
        case .invalidName: "not a tailer name"
        case .invalidOptions: "invalid option"
        case .compacting: "the log is being compacted, cut short or copied"
        case .unsuitableMedium: "not on this medium"
        case .occupied: "the name is taken by something else"
        case .earlierBoot: "a log of an earlier boot"
        case .systemLimit: "a limit of the system is reached"
        case .io: "input/output error"
        default: rawValue
        }
    }
}

extension LogError {
    /// A failed system call, as the error it means to a user of the log.
    static func system(_ errno: Errno, _ call: String, file: FilePath? = nil) -> LogError {
        switch errno {
        case .noSpace, .diskQuotaExceeded:
            LogError(
                .diskFull,
                file: file,
                found: call,
                errno: errno,
                advice: file?.starts(with: SharedMemoryName.root) == true
                    ? "destroy a log (`mlog list` shows them), give this one fewer or smaller segments, or enlarge "
                        + "/dev/shm (`mount -o remount,size=…`; of a container, `--shm-size`); then try again"
                    : "free space and try again"
            )
        case .permissionDenied, .notPermitted, .readOnlyFileSystem:
            LogError(.permissionDenied, file: file, found: call, errno: errno, advice: "check owner, mode and mount")
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
            LogError(
                .io,
                file: file,
                found: call,
                errno: errno,
                advice: "close files or raise the limit (`ulimit -n`; of the system, `fs.file-max`)"
            )
        default:
            LogError(.io, file: file, found: call, errno: errno, advice: "check the disk and the system's log")
        }
    }

    /// What has no place in a log that goes with the machine's memory.
    static func inMemory(_ location: LogLocation, _ what: String, advice: String) -> LogError {
        LogError(
            .unsuitableMedium,
            file: location.path,
            expected: "a log in a directory",
            found: "one in memory, where \(what) makes no sense",
            advice: advice
        )
    }

    static func damaged(_ file: FilePath, _ position: UInt64, expected: String, found: String) -> LogError {
        LogError(
            .damaged,
            file: file,
            position: Position(rawValue: position),
            expected: expected,
            found: found,
            advice: "run `mlog verify` to see all damage, `mlog repair` to set it aside"
        )
    }
}
