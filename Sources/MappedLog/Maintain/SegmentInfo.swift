extension LogInfo {
    /// One segment.
    public struct SegmentInfo: Codable, Hashable, Sendable {
        /// The base position, as in the file's name.
        public let base: UInt64
        /// `prepared` for use, `active` while appended to, `sealed` after; `damaged`: it can't be read as one of
        /// these.
        ///
        /// Others may come.
        public let state: String
        /// How many bytes of the log it stands for.
        public let bytes: UInt64
        /// How many bytes it takes on its medium.
        public let storedBytes: UInt64
        /// How many records it holds.
        public let records: UInt64
        /// The first record's timestamp, in nanoseconds since 1970; nil: there is no record.
        public let firstTimestamp: Int64?
        /// The last record's timestamp, in nanoseconds since 1970; nil: there is no record.
        public let lastTimestamp: Int64?

        /// Writes all members; a timestamp that isn't there as `null`.
        ///
        /// - Parameter encoder: Where to.
        /// - Throws: What the encoder throws.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(base, forKey: .base)
            try container.encode(state, forKey: .state)
            try container.encode(bytes, forKey: .bytes)
            try container.encode(storedBytes, forKey: .storedBytes)
            try container.encode(records, forKey: .records)
            try container.encode(firstTimestamp, forKey: .firstTimestamp)
            try container.encode(lastTimestamp, forKey: .lastTimestamp)
        }
    }
}
