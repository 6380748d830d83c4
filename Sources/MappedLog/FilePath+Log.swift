public import SystemPackage

// Logs by their paths. A path that begins with `shm:` or `sysv:` names a log in memory, as for the command.

extension Log {
    /// As ``create(at:options:opening:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The directory, or the text form of another ``LogLocation``.
    ///   - options: What is kept with the log; nil: ``LogOptions/init(defaultsFor:)``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``create(at:options:opening:)-(LogLocation,_,_)``.
    /// - Returns: The open log.
    public static func create(
        at path: FilePath,
        options: LogOptions? = nil,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        try create(at: LogLocation(path), options: options, opening: opening)
    }

    /// As ``open(at:opening:)-(LogLocation,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``open(at:opening:)-(LogLocation,_)``.
    /// - Returns: The open log.
    public static func open(at path: FilePath, opening: OpenOptions = OpenOptions()) throws(LogError) -> Log {
        try open(at: LogLocation(path), opening: opening)
    }

    /// As ``openOrCreate(at:options:opening:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - options: What is kept with the log, if it is created now; nil: ``LogOptions/init(defaultsFor:)``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``openOrCreate(at:options:opening:)-(LogLocation,_,_)``.
    /// - Returns: The open log.
    public static func openOrCreate(
        at path: FilePath,
        options: LogOptions? = nil,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> Log {
        try openOrCreate(at: LogLocation(path), options: options, opening: opening)
    }

    /// As ``openReadOnly(at:)-(LogLocation)``.
    ///
    /// - Parameter path: The log's directory, or the text form of another ``LogLocation``.
    /// - Throws: As ``openReadOnly(at:)-(LogLocation)``.
    /// - Returns: The open log.
    public static func openReadOnly(at path: FilePath) throws(LogError) -> Log {
        try openReadOnly(at: LogLocation(path))
    }
}

extension LogOptions {
    /// As ``init(ofLogAt:)-(LogLocation)``.
    ///
    /// - Parameter path: The log's directory, or the text form of another ``LogLocation``.
    /// - Throws: As ``init(ofLogAt:)-(LogLocation)``.
    public init(ofLogAt path: FilePath) throws(LogError) {
        try self.init(ofLogAt: LogLocation(path))
    }
}

extension Maintenance {
    /// As ``verify(at:progress:)-(LogLocation,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - progress: Called every few MiB with how far it has come; on the caller's thread.
    /// - Throws: As ``verify(at:progress:)-(LogLocation,_)``.
    /// - Returns: What it found.
    public static func verify(
        at path: FilePath,
        progress: ((VerifyProgress) -> Void)? = nil
    ) throws(LogError) -> VerifyReport {
        try verify(at: LogLocation(path), progress: progress)
    }

    /// As ``recover(at:opening:)-(LogLocation,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``recover(at:opening:)-(LogLocation,_)``.
    /// - Returns: What was found and done.
    public static func recover(
        at path: FilePath,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> RecoveryReport {
        try recover(at: LogLocation(path), opening: opening)
    }

    /// As ``repair(at:)-(LogLocation)``.
    ///
    /// - Parameter path: The log's directory, or the text form of another ``LogLocation``.
    /// - Throws: As ``repair(at:)-(LogLocation)``.
    /// - Returns: What was mended, what is lost, and where it is kept.
    public static func repair(at path: FilePath) throws(LogError) -> RepairReport {
        try repair(at: LogLocation(path))
    }

    /// As ``retain(at:rule:isDryRun:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - rule: What stays.
    ///   - isDryRun: Whether to say only what would be removed.
    /// - Throws: As ``retain(at:rule:isDryRun:)-(LogLocation,_,_)``.
    /// - Returns: What was removed, and whether a named tailer kept more from going.
    public static func retain(
        at path: FilePath,
        rule: Retention,
        isDryRun: Bool = false
    ) throws(LogError) -> RetentionReport {
        try retain(at: LogLocation(path), rule: rule, isDryRun: isDryRun)
    }

    /// As ``snapshot(at:to:compaction:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory, or the text form of another ``LogLocation``.
    ///   - destination: Where the copy is to be: a path that isn't there, or an empty directory.
    ///   - compaction: How to compact the sealed segments of the copy; nil: they keep the form that they have.
    /// - Throws: As ``snapshot(at:to:compaction:)-(LogLocation,_,_)``.
    /// - Returns: What the copy holds.
    public static func snapshot(
        at path: FilePath,
        to destination: FilePath,
        compaction: CompactionOptions? = nil
    ) throws(LogError) -> SnapshotReport {
        try snapshot(at: LogLocation(path), to: destination, compaction: compaction)
    }
}

extension Compactor {
    /// As ``compact(at:options:progress:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory.
    ///   - options: How, and what is left alone.
    ///   - progress: Called with how far it has come, once for each block; on the caller's thread.
    /// - Throws: As ``compact(at:options:progress:)-(LogLocation,_,_)``.
    /// - Returns: What was done.
    public static func compact(
        at path: FilePath,
        options: CompactionOptions = CompactionOptions(),
        progress: ((CompactionProgress) -> Void)? = nil
    ) throws(LogError) -> CompactionReport {
        try compact(at: LogLocation(path), options: options, progress: progress)
    }

    /// As ``restore(at:segments:progress:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - path: The log's directory.
    ///   - segments: Positions in the segments that are wanted; nil: all.
    ///   - progress: Called with how far it has come, once for each block; on the caller's thread.
    /// - Throws: As ``restore(at:segments:progress:)-(LogLocation,_,_)``.
    /// - Returns: What was done.
    public static func restore(
        at path: FilePath,
        segments: [Position]? = nil,
        progress: ((CompactionProgress) -> Void)? = nil
    ) throws(LogError) -> CompactionReport {
        try restore(at: LogLocation(path), segments: segments, progress: progress)
    }
}
