public import SystemPackage

extension Maintenance {
    /// Copies a log, as it is at this moment, while writers go on.
    ///
    /// The copy holds all records up to the end of what is visible when it begins, with their positions and sequences,
    /// the log's options, its identity, and its named tailers; those that stood beyond are moved back to the end. It
    /// has been read back and found whole, and is on the disk, before `options.json`, which makes a log of it, comes
    /// last; a copy that failed is removed. Blocks are shared with the original where the file system can.
    /// Complexity: O(*n*) in the bytes of the log.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - destination: Where the copy is to be: a path that isn't there, or an empty directory.
    ///   - compaction: How to compact the sealed segments of the copy; nil: they keep the form that they have.
    /// - Throws: `notEmpty` where there is something at the destination; `compacting` where somebody else compacts,
    ///   restores, removes, copies or repairs; `damaged` where the log, or a named tailer, is; `invalidOptions`;
    ///   `networkFileSystem`, `diskFull`, `permissionDenied`, `io`; as ``Log/openReadOnly(at:)-(LogLocation)``.
    /// - Returns: What the copy holds.
    public static func snapshot(
        at location: LogLocation,
        to destination: FilePath,
        compaction: CompactionOptions? = nil
    ) throws(LogError) -> SnapshotReport {
        try Snapshot(LogPlace(at: location), destination, compaction).run()
    }
}

extension Log {
    /// Copies the log as it is at this moment, as ``Maintenance/snapshot(at:to:compaction:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - destination: Where the copy is to be: a path that isn't there, or an empty directory.
    ///   - compaction: How to compact the sealed segments of the copy; nil: they keep the form that they have.
    /// - Throws: As ``Maintenance/snapshot(at:to:compaction:)-(LogLocation,_,_)``; `forked`.
    /// - Returns: What the copy holds.
    @discardableResult
    public func snapshot(
        to destination: FilePath,
        compaction: CompactionOptions? = nil
    ) throws(LogError) -> SnapshotReport {
        try Snapshot(checkedReader().log, destination, compaction).run()
    }
}
