internal import SystemPackage

/// Where a log's segments live, and who is a writer there.
///
/// Nothing above `Storage/` knows which medium it has.
///
/// All members are safe to call from any thread. Those that change something are for writers only, and say where
/// the caller must hold a lock.
protocol Medium: Sendable {
    /// Where the log is, as users name it.
    var location: LogLocation { get }
    /// What messages call the log.
    var path: FilePath { get }
    /// Who may read and write the log.
    var permissions: FilePermissions { get }
    /// Whether what is flushed outlives the machine's memory; where it isn't, committed is as durable as it gets.
    var isPersistent: Bool { get }
    /// How many segments with records stay; nil: any number. Of a log in memory the oldest goes before the next comes.
    var bound: Int? { get }

    // Segments

    /// What is there, by base position; of two forms of one segment the raw one first. Complexity: O(*n*) in the number of segments.
    func listSegments() throws(LogError) -> [SegmentName]
    /// The file of a raw segment, or nil when there is none of that name.
    func openSegment(_ base: UInt64, writable: Bool) throws(LogError) -> OpenFile?
    /// The file of a compacted segment, or nil when there is none of that name.
    func openCompacted(_ base: UInt64) throws(LogError) -> OpenFile?
    /// Makes a prepared segment appear, complete and durable, or not at all. False: one was there already.
    ///
    /// `namesAreDurable` says that the caller has flushed the name before this one: that needs no flush here.
    func publishSegment(
        _ base: UInt64,
        header: [UInt8],
        byteCount: UInt64,
        namesAreDurable: Bool
    ) throws(LogError) -> Bool
    /// Puts a complete, durable file in the place of a segment; `fill` writes it. Who mapped the old one keeps it.
    func replaceSegment(_ base: UInt64, byteCount: UInt64, fill: (OpenFile) throws(LogError) -> Void) throws(LogError)
    /// Makes created, renamed and removed names durable.
    func flushDirectory() throws(LogError)
    /// The directory of the segments, for who has to know whether its flush failed, or never began; nil: there is none.
    func openDirectory() throws(LogError) -> OpenFile?
    func segmentPath(_ base: UInt64) -> FilePath
    func path(of form: SegmentName) -> FilePath
    func byteCount(of form: SegmentName) throws(LogError) -> UInt64

    // Compaction; each only as the compactor

    /// Makes one form of a segment appear, complete and durable, beside the other, or not at all; `fill` writes it, and
    /// `check` looks at the finished file before it gets its name. Replaces what has that name.
    func publish(
        _ form: SegmentName,
        fill: (OpenFile) throws(LogError) -> Void,
        check: (OpenFile) throws(LogError) -> Void
    ) throws(LogError)
    /// Takes one form of a segment away, durably.
    func remove(_ form: SegmentName) throws(LogError)
    /// Removes what killed compactors left; how many files.
    func removeUnfinishedCompactions() throws(LogError) -> Int

    // What recovery cuts off

    /// Moves one form of a segment to `lost+found`; where it is now. Nil: this medium keeps nothing.
    func setAsideSegment(_ form: SegmentName) throws(LogError) -> FilePath?
    /// Keeps bytes of a segment in `lost+found`, durable when it returns; where they are. Nil: this medium keeps nothing.
    func setAside(_ file: OpenFile, _ range: Range<UInt64>, position: UInt64) throws(LogError) -> FilePath?

    // The running system

    /// Makes the places beside the segments that a copy of a log may lack. Only as a writer.
    func makeDirectories() throws(LogError)
    func openControl(writable: Bool) throws(LogError) -> OpenFile?
    func openWaiters() throws(LogError) -> OpenFile?
    func openLock() throws(LogError) -> WriterLock
    /// Who has the log open for writing; a look, which takes no lock. Nil: not to be found out.
    func writersAlive() -> WritersAlive?
    /// Whether one lives that isn't just becoming the first.
    ///
    /// Asks for no table of all locks, for which the kernel stops every processor, up to tens of milliseconds.
    func hasWriters() throws(LogError) -> Bool
    /// Removes what killed processes left unpublished. Only as the only writer.
    func removeUnpublished() throws(LogError)

    // Settings and named tailers

    /// The log's options as they stand: `options.json`.
    func settingsBytes() throws(LogError) -> [UInt8]
    var settingsPath: FilePath { get }
    func namedTailerNames() throws(LogError) -> [String]
    /// Puts settings in the place of those that are there.
    func publishSettings(_ settings: LogSettings) throws(LogError)
    func openNamedTailer(_ name: String, create: Bool, writable: Bool) throws(LogError) -> OpenFile?
    func removeNamedTailer(_ name: String) throws(LogError)
}

extension Medium {
    /// `file`, `sharedMemory` or `systemV`, as ``LogInfo`` reports it.
    var name: String { location.medium.rawValue }

    func readSettings() throws(LogError) -> LogSettings {
        try LogSettings(settingsBytes(), from: settingsPath)
    }

    /// The file of a segment in the form that counts, raw before compacted; nil: there is neither.
    ///
    /// Compaction and restoring make the new form appear before the old one goes; so one is there at each moment, and
    /// who found neither looks again as long as the names say so.
    func openForReading(_ base: UInt64) throws(LogError) -> SegmentFile? {
        for _ in 0..<100 {
            if let file = try openSegment(base, writable: false) { return .raw(file) }
            if let file = try openCompacted(base) { return .compacted(file) }
            let isThere = try listSegments().contains { name in
                if case .unsupported = name { false } else { name.base == base }
            }
            if !isThere { return nil }
        }
        return nil
    }
}

/// A segment as its name tells it.
enum SegmentName: Hashable, Sendable {
    case raw(UInt64)
    case compacted(UInt64)
    /// `HEX16.mlog.SUFFIX`: a form that this version doesn't read.
    case unsupported(UInt64, name: String)

    var base: UInt64 {
        switch self {
        case .raw(let base), .compacted(let base), .unsupported(let base, _): base
        }
    }

    /// Of several forms of one segment the one with the smallest rank counts.
    var rank: Int {
        switch self {
        case .raw: 0
        case .compacted: 1
        case .unsupported: 2
        }
    }

    /// Nil: not the name of a segment.
    init?(_ name: String) {
        let digits = name.prefix(16)
        guard digits.utf8.count == 16, digits.utf8.allSatisfy(Self.isLowerHexadecimal),
            let base = UInt64(digits, radix: 16)
        else { return nil }
        switch name.dropFirst(16) {
        case ".mlog": self = .raw(base)
        case ".mlog.lz4": self = .compacted(base)
        case let suffix where suffix.hasPrefix(".mlog."): self = .unsupported(base, name: name)
        default: return nil
        }
    }

    private static func isLowerHexadecimal(_ digit: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(digit)
    }
}
