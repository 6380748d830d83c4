/// How ``Compactor`` compacts, and what it leaves alone.
public struct CompactionOptions: Sendable, Hashable {
    /// How hard to compress: 1–2 LZ4 fast, 3–12 LZ4 HC.
    ///
    /// Default 1. Reading costs the same for all.
    public var level: Int
    /// How much of a segment is compressed by itself, in bytes: 64 KiB, 256 KiB, 1 MiB or 4 MiB.
    ///
    /// Default 256 KiB. Reading one record at random decompresses a block; larger ones compress a little better.
    public var blockSize: UInt64
    /// How many of the newest sealed segments stay raw.
    ///
    /// Default 0.
    public var keep: Int
    /// Segments with a record younger than this stay raw; nil, the default: none does for that.
    public var minimumAge: Duration?
    /// How many segments are compacted at a time, each by a thread.
    ///
    /// Default 1.
    public var jobs: Int
    /// Whether to say only what would be compacted.
    public var isDryRun: Bool

    /// Creates options.
    ///
    /// - Parameters:
    ///   - level: How hard to compress, 1 to 12.
    ///   - blockSize: How much is compressed by itself: 64 KiB, 256 KiB, 1 MiB or 4 MiB.
    ///   - keep: How many of the newest sealed segments stay raw.
    ///   - minimumAge: Segments with a younger record stay raw.
    ///   - jobs: How many segments are compacted at a time.
    ///   - isDryRun: Whether to say only what would be compacted.
    public init(
        level: Int = 1,
        blockSize: UInt64 = 256 << 10,
        keep: Int = 0,
        minimumAge: Duration? = nil,
        jobs: Int = 1,
        isDryRun: Bool = false
    ) {
        self.level = level
        self.blockSize = blockSize
        self.keep = keep
        self.minimumAge = minimumAge
        self.jobs = jobs
        self.isDryRun = isDryRun
    }

    /// - Throws: `invalidOptions`.
    func check() throws(LogError) {
        func check(_ isValid: Bool, _ expected: String, _ found: String) throws(LogError) {
            if isValid { return }
            throw LogError(.invalidOptions, expected: expected, found: found, advice: "choose another")
        }
        try check((1...12).contains(level), "a level of 1 to 12", "\(level)")
        try check(
            CompactedHeader.blockSizes.contains(blockSize),
            "a block size of 64 KiB, 256 KiB, 1 MiB or 4 MiB",
            "\(blockSize) bytes"
        )
        try check(keep >= 0, "0 or more segments to keep", "\(keep)")
        try check((1...1024).contains(jobs), "1 to 1024 jobs", "\(jobs)")
        try check(minimumAge.map { $0 >= .zero } ?? true, "an age of 0 or more", "\(minimumAge ?? .zero)")
    }
}
