internal import SystemPackage

/// What ``Maintenance/repair(at:)`` did.
public struct RepairReport: Codable, Hashable, Sendable {
    /// The damage that was found and mended.
    public internal(set) var mended: [Damage] = []
    /// What was found and left as it is: a named tailer's file, which is to be set anew.
    public internal(set) var unmended: [Damage] = []
    /// The ranges of positions that tailers skip from now on, in order.
    public internal(set) var skippedRanges: [Range<UInt64>] = []
    /// How many records are known to be gone with them.
    public internal(set) var skippedRecords: UInt64 = 0
    /// The positions of those of them behind which nothing proves the sequence: records there may have another number
    /// than they had.
    public internal(set) var unprovedSequences: [UInt64] = []
    /// Where what was overwritten or replaced is kept: paths of files in `lost+found`.
    public internal(set) var kept: [String] = []
    /// Named tailers that stood inside a skipped range, and now stand before it.
    public internal(set) var movedTailers: [String] = []
    /// The recovery that followed.
    public internal(set) var recovery = RecoveryReport()
}

extension RepairReport {
    /// Notes where something is kept; nil: the log's medium keeps nothing.
    mutating func keep(_ path: FilePath?) {
        if let path { kept.append(path.string) }
    }
}
