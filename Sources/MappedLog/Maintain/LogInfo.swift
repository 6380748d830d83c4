/// What a log holds, as ``Log/info()`` tells.
///
/// Its JSON form is that of `mlog info --json`.
public struct LogInfo: Codable, Hashable, Sendable {
    /// One named tailer.
    public struct TailerInfo: Codable, Hashable, Sendable {
        /// The name.
        public let name: String
        /// The position of the next frame it will read.
        public let position: UInt64
        /// The sequence of the next record it will read.
        public let sequence: UInt64
        /// How many records it has yet to read.
        public let lag: UInt64
        /// Whether retention removes nothing that it has yet to read.
        public let protecting: Bool
    }

    /// The log's identity: a UUID.
    public internal(set) var id: String
    /// The version of the format, such as `1.0`.
    public internal(set) var formatVersion: String
    /// Where the segments live: `file`.
    public internal(set) var medium: String
    /// The size of each segment in bytes.
    public internal(set) var segmentSize: UInt64
    /// The sequence of the first record that is left.
    public internal(set) var firstSequence: UInt64
    /// The sequence of the next record to be appended.
    public internal(set) var nextSequence: UInt64
    /// The position of the first frame that is left.
    public internal(set) var firstPosition: UInt64
    /// The position of the next frame to be appended.
    public internal(set) var endPosition: UInt64
    /// Everything before this position is known to be on the disk.
    public internal(set) var durablePosition: UInt64
    /// How many opens for writing there are, in all processes; 0 too where that can't be found out.
    public internal(set) var writers: Int
    /// What keeps the log's own retention from removing more: a protecting named tailer, or what can't be read; nil:
    /// nothing does, or the log has no retention.
    public internal(set) var retentionObstacle: String?
    /// The named tailers, by name; those whose file can't be read are left out.
    public internal(set) var tailers: [TailerInfo]
    /// The segments, first to last.
    public internal(set) var segments: [SegmentInfo]
}
