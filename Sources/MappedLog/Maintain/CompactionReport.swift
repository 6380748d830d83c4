/// What a ``Compactor`` run did.
///
/// Its JSON form is that of `mlog compact --json` and `mlog restore --json`.
public struct CompactionReport: Codable, Hashable, Sendable {
    /// One segment.
    public struct Segment: Codable, Hashable, Sendable {
        /// Its base position.
        public let base: UInt64
        /// The path of the file that it has now, or, of a dry run, would get.
        public let file: String
        /// How long the file was, in bytes.
        public let bytesBefore: UInt64
        /// How long the file is, in bytes; of a dry run as before.
        public let bytesAfter: UInt64
    }

    /// The segments, first to last.
    public internal(set) var segments: [Segment] = []
    /// What of the segments that were to be compacted is damaged, and was left as it is; first to last.
    public internal(set) var damaged: [Damage] = []
    /// Where forms are now that the log had beside others, and that held something else: paths in `lost+found`.
    public internal(set) var kept: [String] = []
    /// How many files that killed compactors left were removed.
    public internal(set) var removedLeftovers = 0
    /// Nothing was done: it says what would be.
    public internal(set) var isDryRun = false
    /// How long it took, in seconds.
    public internal(set) var seconds = 0.0

    /// How long all files were, in bytes.
    public var bytesBefore: UInt64 { segments.reduce(0) { $0 + $1.bytesBefore } }
    /// How long all files are, in bytes.
    public var bytesAfter: UInt64 { segments.reduce(0) { $0 + $1.bytesAfter } }
}

/// How far ``Compactor`` has come.
public struct CompactionProgress: Hashable, Sendable {
    /// How many bytes of segments are done.
    public internal(set) var bytesDone: UInt64 = 0
    /// How many bytes of segments there are to do.
    public internal(set) var bytesTotal: UInt64 = 0
    /// How many bytes the segments had that are finished.
    public internal(set) var bytesFinished: UInt64 = 0
    /// How many bytes they have become.
    public internal(set) var bytesWritten: UInt64 = 0
}
