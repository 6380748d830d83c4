public import SystemPackage

/// What the creator of a log chooses; kept in the log's `options.json`.
public struct LogOptions: Sendable, Hashable {
    /// The size of each segment file in bytes: 64 KiB to 4 GiB, a multiple of 64 KiB.
    ///
    /// Default 64 MiB.
    ///
    /// A record, header and all, has to fit into a segment; ``Log/maximumRecordSize`` tells.
    public var segmentSize: UInt64
    /// The mode of the log's files; directories get an `x` for each `r`.
    ///
    /// Default 0600.
    ///
    /// Who may not write may not append; locks and wake flags are open to those who may write only.
    public var permissions: FilePermissions
    /// When appended records become durable without a call to ``Log/sync()``, unless an open says otherwise.
    ///
    /// In memory nothing is durable, and nothing is flushed; it counts for a snapshot of the log, which is.
    public var durability: Durability
    /// What old segments are removed, by whoever has the log open for writing; nil, the default: none.
    ///
    /// A log in memory always has a bound: where ``Retention/segments`` is nil, it keeps the last four with records.
    public var retention: Retention?
    /// How old the newest record of a sealed segment has to be for whoever has the log open for writing to compact it.
    ///
    /// 0 or more, kept in whole seconds; nil, the default, and always of a log in memory: nobody does. It is done at level 1, by a thread of low
    /// priority, and never to a segment that isn't wholly durable.
    public var compactAfter: Duration?

    /// Creates options.
    ///
    /// - Parameters:
    ///   - segmentSize: The size of each segment file in bytes.
    ///   - permissions: The mode of the log's files.
    ///   - durability: When appended records become durable.
    ///   - retention: What old segments are removed.
    ///   - compactAfter: How old segments have to be to be compacted.
    public init(
        segmentSize: UInt64 = 64 << 20,
        permissions: FilePermissions = .ownerReadWrite,
        durability: Durability = .interval(.milliseconds(10)),
        retention: Retention? = nil,
        compactAfter: Duration? = nil
    ) {
        self.segmentSize = segmentSize
        self.permissions = permissions
        self.durability = durability
        self.retention = retention
        self.compactAfter = compactAfter
    }

    /// The options of a log for which nothing is chosen.
    ///
    /// A log in memory has segments of 8 MiB and keeps four with records: with the prepared one 40 MiB, which fit into
    /// the 64 MiB that `/dev/shm` has in a container by default.
    ///
    /// - Parameter location: Where the log is to be.
    public init(defaultsFor location: LogLocation) {
        self.init()
        guard location.isInMemory else { return }
        segmentSize = 8 << 20
        retention = Retention(segments: Retention.boundInMemory)
    }

    /// Reads what the creator of a log chose.
    ///
    /// - Parameter location: Where the log is.
    /// - Throws: `notFound`, `notALog`, `damaged`, `unsupportedVersion`, `occupied`, `permissionDenied`, `io`.
    public init(ofLogAt location: LogLocation) throws(LogError) {
        let settings = try LogPlace.unreadMedium(location).readSettings()
        self.init(
            segmentSize: settings.segmentSize,
            permissions: settings.permissions,
            durability: settings.durability,
            retention: settings.retention,
            compactAfter: settings.compactAfter
        )
    }
}

/// When appended records become durable without a call to ``Log/sync()``.
///
/// A record that is not durable yet survives the death of every process, but not a crash of the machine.
public enum Durability: Sendable, Hashable {
    /// Never by policy. Sealed segments are flushed all the same.
    case never
    /// A background thread flushes this long after an append, at most; more than 0. The default, 10 ms.
    case interval(Duration)
    /// The append that makes it this many bytes not durable flushes before it returns; more than 0.
    case bytes(UInt64)
    /// Each append returns when its record is durable.
    case everyAppend
}

/// What each open of a log chooses for itself.
public struct OpenOptions: Sendable, Hashable {
    /// When this process's appends become durable; nil takes what the log's creator chose.
    public var durability: Durability?
    /// Where timestamps come from.
    public var clock: LogClock
    /// How long an append waits for another writer that doesn't go on, before ``LogError/Code/writerStalled``.
    ///
    /// And a flush for another process that is stopped inside one, before ``LogError/Code/flushStalled``; for a slow disk it
    /// waits on.
    public var stallTimeout: Duration
    /// How long an open waits for another process's open, close or recovery, before ``LogError/Code/recovering``.
    public var recoveryTimeout: Duration

    /// Creates options.
    ///
    /// - Parameters:
    ///   - durability: When this process's appends become durable; nil takes the log's own setting.
    ///   - clock: Where timestamps come from.
    ///   - stallTimeout: How long an append waits for another writer.
    ///   - recoveryTimeout: How long an open waits for another process's open, close or recovery.
    public init(
        durability: Durability? = nil,
        clock: LogClock = .coarse,
        stallTimeout: Duration = .seconds(10),
        recoveryTimeout: Duration = .seconds(60)
    ) {
        self.durability = durability
        self.clock = clock
        self.stallTimeout = stallTimeout
        self.recoveryTimeout = recoveryTimeout
    }
}
