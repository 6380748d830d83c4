internal import Synchronization
internal import _CMappedLog

/// The background thread that keeps ahead of the appends of this process: the next segment is there before it is needed,
/// and pages ahead of the tail are populated, so that no append has to fault.
///
/// It never stores into a published segment, and waits for no flush: who flushes is the ``Housekeeper``.
final class Preparer: Sendable {
    private let control: ControlWords
    private let segments: WritableSegments
    private let appender: Appender
    private let thread: BackgroundThread
    private let housekeeper: BackgroundThread
    /// A page populated for writing is dirty: where every append is flushed, it is written before that flush comes to it.
    private let flushesEachAppend: Bool
    /// How far ahead of the tail pages are populated, in bytes.
    private let window: UInt64
    /// Populated at a time, so that a tail that has moved on is followed.
    private let piece: UInt64

    /// What lies less far behind the tail stays mapped: a huge page, where there are such.
    private static let kept: UInt64 = 2 << 20
    private static let largeRecord: UInt64 = 64 << 10
    private static let idlePause = Duration.seconds(3600)
    /// Until the gate is free again.
    private static let gatePause = Duration.milliseconds(5)

    init(
        control: ControlWords,
        segments: WritableSegments,
        appender: Appender,
        durability: Durability,
        thread: BackgroundThread,
        housekeeper: BackgroundThread
    ) {
        self.control = control
        self.segments = segments
        self.appender = appender
        self.thread = thread
        self.housekeeper = housekeeper
        flushesEachAppend = durability == .everyAppend
        (window, piece) = flushesEachAppend ? (1 << 20, 64 << 10) : (16 << 20, 2 << 20)
    }

    func start() throws(LogError) {
        let populated = Mutex(Populated())
        try thread.start { [self] in
            // What fails here isn't lost: the roll that needs the segment meets the same failure, and reports it.
            populated.withLock { (try? work(&$0)) ?? Self.idlePause }
        }
    }

    func end() {
        thread.end()
    }

    /// How far this process has populated which segment, and from where on it is still mapped.
    private struct Populated {
        var base: UInt64?
        /// Weak: of a log in memory it may have been dropped since, and its memory is needed.
        weak var segment: Segment?
        var end: UInt64 = 0
        var start: UInt64 = 0
    }

    /// - Returns: How long to pause if no bell rings.
    private func work(_ populated: inout Populated) throws(LogError) -> Duration {
        guard appender.writingFailure() == nil else { return Self.idlePause }
        let geometry = segments.log.geometry
        while true {
            let tail = control.currentSlot().tail
            let base = geometry.base(of: tail)
            if populated.base != base { try enter(base, &populated) }
            guard let active = populated.segment else {
                populated.base = nil
                continue
            }
            // Counted from the start of the active segment, into the next one.
            let offset = tail - base
            letGo(of: active, before: offset, &populated)
            guard let next = try prepared(behind: base) else { return Self.gatePause }
            guard isWorthwhile(active, offset) else { return Self.idlePause }
            let end = min(offset + window, 2 * geometry.dataEnd)
            let from = max(populated.end, offset)
            if from >= end {
                // Where both segments are populated to their ends, only the next one's first append has to ring.
                try ring(at: end < 2 * geometry.dataEnd ? end - window / 2 : end, active)
                return Self.idlePause
            }
            let isInNext = from >= geometry.dataEnd
            let start = isInNext ? from - geometry.dataEnd : from
            let count = min(piece - start % piece, (isInNext ? end : min(end, geometry.dataEnd)) - from)
            let segment = isInNext ? next : active
            segment.mapping.populateForWriting(from: Int(start), byteCount: Int(count))
            if flushesEachAppend { segment.file.startWriting(from: start, byteCount: count) }
            populated.end = from + count
        }
    }

    /// The segment behind the active one, published if it isn't there; nil: it's not the moment.
    ///
    /// Under the gate, and with the tail looked at again there: who was held up since its last look could publish what
    /// has been filled, and then compacted or removed, since. Both need the gate for it.
    private func prepared(behind base: UInt64) throws(LogError) -> Segment? {
        let geometry = segments.log.geometry
        if let next = try segments.existing(base + geometry.segmentSize) { return next }
        let lock = try segments.log.medium.openLock()
        guard try lock.tryLockGate() else { return nil }
        defer { lock.unlockGate() }
        guard geometry.base(of: control.currentSlot().tail) == base else { return nil }
        return try segments.prepared(base + geometry.segmentSize)
    }

    /// Lets the append ring that comes to this offset of the active segment.
    private func ring(at offset: UInt64, _ active: Segment) throws(LogError) {
        try appender.setBell(base: active.base, offset: offset < active.geometry.dataEnd ? offset : .max)
    }

    /// Whether so much is to be written ahead.
    ///
    /// Of records so large that a flush is mostly data everything would be written twice.
    private func isWorthwhile(_ active: Segment, _ offset: UInt64) -> Bool {
        guard flushesEachAppend else { return true }
        let sequence = control.currentSlot().sequence
        let records = sequence &- (active.activation?.baseSequence ?? sequence)
        return records >= offset / Self.largeRecord
    }

    /// The log goes on in another segment.
    private func enter(_ base: UInt64, _ populated: inout Populated) throws(LogError) {
        let geometry = segments.log.geometry
        let segment = try segments.segment(base)
        var ahead: UInt64 = 0
        if let last = populated.base, last != base {
            // A segment has been sealed.
            housekeeper.ring()
            if let mapping = populated.segment?.mapping { mapping.letGo(from: 0, byteCount: mapping.byteCount) }
            if last + geometry.segmentSize == base { ahead = populated.end - min(populated.end, geometry.dataEnd) }
        }
        populated = Populated(base: base, segment: segment, end: ahead)
    }

    /// As many bytes as can be let go of without a page being split, at most.
    static func wholePieces(_ byteCount: UInt64) -> UInt64 {
        byteCount / kept * kept
    }

    /// What lies well behind the tail is touched by nobody here any more: the memory is the page cache's.
    private func letGo(of segment: Segment, before offset: UInt64, _ populated: inout Populated) {
        let end = Self.wholePieces(offset - min(offset, Self.kept))
        guard end > populated.start else { return }
        segment.mapping.letGo(from: Int(populated.start), byteCount: Int(end - populated.start))
        populated.start = end
    }
}
