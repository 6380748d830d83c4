internal import SystemPackage

/// What recovery found and did.
public struct RecoveryReport: Codable, Hashable, Sendable {
    /// Whether the log had been closed cleanly: then nothing was looked at or done.
    public var cleanClose = false
    /// Whether writers were alive: then nothing was done, because nothing needs to be.
    public var writersAlive = false
    /// Where a torn tail was cut off, or nil.
    public var cutPosition: UInt64?
    /// How many bytes were cut off, from the cut to the last byte that wasn't 0.
    public var cutBytes: UInt64 = 0
    /// Where what was cut off is kept: paths of files in `lost+found`.
    public var kept: [String] = []
    /// The position up to which all was durable before; all is when recovery returns.
    public var durablePosition: UInt64 = 0
    /// The end of the log.
    public var endPosition: UInt64 = 0
    /// The sequence of the next record.
    public var nextSequence: UInt64 = 0
    /// Named tailers that stood beyond the end and were moved to it.
    public var movedTailers: [String] = []
    /// Entries of the sparse index that were made anew or cleared.
    public var rebuiltIndexEntries = 0
    /// Seal lines that were written anew or cleared.
    public var rewrittenSeals = 0
    /// Segments that were copied into fresh files, since a flush had failed or been interrupted.
    public var copiedSegments = 0
}

extension RecoveryReport {
    /// Notes where something is kept; nil: the log's medium keeps nothing.
    mutating func keep(_ path: FilePath?) {
        if let path { kept.append(path.string) }
    }
}
