/// What a snapshot holds.
///
/// Its JSON form is that of `mlog snapshot --json`.
public struct SnapshotReport: Sendable, Hashable, Codable {
    /// Where it is.
    public internal(set) var destination = ""
    /// How many segments it has.
    public internal(set) var segments = 0
    /// How many of them are compacted.
    public internal(set) var compactedSegments = 0
    /// How long their files are, in bytes.
    public internal(set) var bytes: UInt64 = 0
    /// The sequence of its first record.
    public internal(set) var firstSequence: UInt64 = 0
    /// The sequence of the record that would come next: it holds all before, from the first on.
    public internal(set) var nextSequence: UInt64 = 0
    /// Where it ends.
    public internal(set) var endPosition: UInt64 = 0
    /// How long it took, in seconds.
    public internal(set) var seconds = 0.0
}
