internal import Glibc
internal import Synchronization
internal import _CMappedLog

/// The segments that this process has mapped for writing: the active one, the next, and those not durable yet.
///
/// Each is opened before this process first appends to it, so that a failed write-back is reported to its descriptor.
final class WritableSegments: Sendable {
    let log: LogPlace
    private let isFlushed: Bool
    private let open = Mutex<[UInt64: Segment]>([:])
    /// The last segment that this process has published; held while it publishes one.
    private let lastPublished = Mutex<UInt64?>(nil)
    /// For memory that is about to come free; the append lock may be held meanwhile.
    private static let tries = 50
    private static let pauseMicroseconds: UInt32 = 1_000

    init(_ log: LogPlace, _ durability: Durability) {
        self.log = log
        isFlushed = durability != .never
    }

    /// Maps a published segment, or returns the mapping there is; nil when none of that base is published.
    func existing(_ base: UInt64) throws(LogError) -> Segment? {
        if let segment = open.withLock({ $0[base] }) { return segment }
        guard let file = try log.medium.openSegment(base, writable: true) else { return nil }
        let segment = try Segment(file, base: base, of: log.identity, writable: true)
        // A copy may have holes where the original had none: a store into one would be SIGBUS on a full disk.
        try file.allocate(log.geometry.segmentSize)
        guard segment.header.mayWrite else { throw log.mustNotWrite(base) }
        segment.mapping.preferHugePages(!isFlushed)
        return open.withLock { open in
            if let other = open[base] { return other }
            open[base] = segment
            return segment
        }
    }

    /// Maps a segment that must be there.
    func segment(_ base: UInt64) throws(LogError) -> Segment {
        guard let segment = try existing(base) else { throw log.missing(base, durable: nil) }
        return segment
    }

    /// Maps a segment, which is prepared first if it isn't there.
    func prepared(_ base: UInt64) throws(LogError) -> Segment {
        if let segment = try existing(base) { return segment }
        return try lastPublished.withLock { last throws(LogError) in
            // An append that needs it while the preparer is at it would be no faster by itself.
            if let segment = try existing(base) { return segment }
            // What nobody will flush needs no mapping any more, and can be used again where nobody else has one.
            if !log.medium.isPersistent { drop(before: base - min(base, log.geometry.segmentSize)) }
            let isMine = try prepareSegment(base, namesAreDurable: last.map { $0 + log.geometry.segmentSize } == base)
            last = isMine ? base : nil
            return try segment(base)
        }
    }

    /// In memory, that of a segment which has been dropped is free only when the background threads have let go of it too.
    private func prepareSegment(_ base: UInt64, namesAreDurable: Bool) throws(LogError) -> Bool {
        for _ in 0..<Self.tries {
            do throws(LogError) { return try log.prepareSegment(base, namesAreDurable: namesAreDurable) } catch {
                guard error.code == .diskFull, !log.medium.isPersistent else { throw error }
                usleep(Self.pauseMicroseconds)
            }
        }
        return try log.prepareSegment(base, namesAreDurable: namesAreDurable)
    }

    /// Lets go of segments that nobody here will flush or append to again.
    func drop(before base: UInt64) {
        open.withLock { $0 = $0.filter { $0.key >= base } }
    }
}
