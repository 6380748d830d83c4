internal import Synchronization
internal import _CMappedLog

/// The background thread that keeps ahead of the appends of this process: the next segment is there before it is needed,
/// and pages ahead of the tail are populated, so that no append has to fault.
///
/// It never stores into a published segment, and waits for no flush: who flushes is the ``Housekeeper``.
final class Preparer: Sendable {
    private let control: ControlBlock
    private let segments: WritableSegments
    private let appender: Appender
    private let thread: BackgroundThread
    private let housekeeper: BackgroundThread
    /// A page populated for writing is dirty: where every append is flushed, the flush would write it.
    private let populates: Bool

    /// How far ahead of the tail pages are populated, in bytes.
    static let window: UInt64 = 16 << 20
    /// Populated at a time, so that a tail that has moved on is followed.
    private static let piece: UInt64 = 1 << 20
    private static let idlePause = Duration.seconds(3600)
    /// Until the gate is free again.
    private static let gatePause = Duration.milliseconds(5)

    init(
        control: ControlBlock,
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
        populates = durability != .everyAppend
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

    /// How far this process has populated which segment.
    private struct Populated {
        var base = UInt64.max
        var end: UInt64 = 0
    }

    /// - Returns: How long to pause if no bell rings.
    private func work(_ populated: inout Populated) throws(LogError) -> Duration {
        guard appender.writingFailure() == nil else { return Self.idlePause }
        let geometry = segments.log.geometry
        while true {
            let tail = control.currentSlot().tail
            let base = geometry.base(of: tail)
            guard let next = try prepared(behind: base) else { return Self.gatePause }
            if populated.base != base {
                // A segment has been sealed.
                if populated.base != .max { housekeeper.ring() }
                let isNext = base >= geometry.segmentSize && populated.base == base - geometry.segmentSize
                let ahead = isNext ? populated.end - min(populated.end, geometry.dataEnd) : 0
                populated = Populated(base: base, end: ahead)
            }
            guard populates else {
                try appender.setBell(base: base, offset: .max)
                return Self.idlePause
            }
            // Counted from the start of the active segment, into the next one.
            let offset = tail - base
            let from = max(populated.end, offset)
            let end = min(offset + Self.window, 2 * geometry.dataEnd)
            if from >= end {
                let bell = end - min(end, Self.window / 2)
                try appender.setBell(base: base, offset: bell < geometry.dataEnd ? bell : .max)
                return Self.idlePause
            }
            let active = try segments.segment(base)
            if from < geometry.dataEnd {
                let count = min(Self.piece, min(end, geometry.dataEnd) - from)
                active.mapping.populateForWriting(from: Int(from), byteCount: Int(count))
                populated.end = from + count
            } else {
                let start = from - geometry.dataEnd
                let count = min(Self.piece, end - from)
                next.mapping.populateForWriting(from: Int(start), byteCount: Int(count))
                populated.end = from + count
            }
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
}
