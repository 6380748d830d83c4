internal import Glibc
internal import Synchronization
internal import _CMappedLog

/// The background thread that populates pages ahead of the appends of this process, so that none has to fault, and lets
/// go of those behind them.
///
/// It never stores into a published segment, and flushes nothing: that the next segment is there is for the ``Preparer``,
/// and who flushes is the ``Housekeeper``.
final class Populator: Sendable {
    private let control: ControlWords
    private let segments: WritableSegments
    private let appender: Appender
    private let thread: BackgroundThread
    private let preparer: BackgroundThread
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

    init(
        control: ControlWords,
        segments: WritableSegments,
        appender: Appender,
        durability: Durability,
        thread: BackgroundThread,
        preparer: BackgroundThread
    ) {
        self.control = control
        self.segments = segments
        self.appender = appender
        self.thread = thread
        self.preparer = preparer
        flushesEachAppend = durability == .everyAppend
        (window, piece) = flushesEachAppend ? (1 << 20, 64 << 10) : (16 << 20, 2 << 20)
    }

    func start() throws(LogError) {
        let populated = Mutex(Populated())
        try thread.start("mlog-populate", .batch) { [self] in
            // What fails here isn't lost: the append that needs the segment meets the same failure, and reports it.
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
        while true {
            switch try step(&populated) {
            case .again: continue
            case .rest: return Self.idlePause
            case .ring(let base, let offset):
                // This waits for the append lock. Of a log in memory who has it may wait for a dropped segment's memory, so
                // none is held here.
                try appender.setBell(base: base, offset: offset)
                return Self.idlePause
            }
        }
    }

    private enum Step {
        case again, rest
        /// Let the append ring that comes to this offset of the active segment; `.max`: none.
        case ring(base: UInt64, offset: UInt64)
    }

    /// Populates one piece, if one is due.
    private func step(_ populated: inout Populated) throws(LogError) -> Step {
        let geometry = segments.log.geometry
        let tail = control.currentSlot().tail
        let base = geometry.base(of: tail)
        if populated.base != base { try enter(base, &populated) }
        guard let active = populated.segment else {
            populated.base = nil
            return .again
        }
        // Counted from the start of the active segment, into the next one.
        let offset = tail - base
        letGo(of: active, before: offset, &populated)
        guard isWorthwhile(active, offset) else { return .rest }
        let next = try segments.existing(base + geometry.segmentSize)
        let limit = (next == nil ? 1 : 2) * geometry.dataEnd
        let end = min(offset + window, limit)
        let from = max(populated.end, offset)
        if from >= end {
            // At a limit there is nothing to do before the next segment is there, or is entered: both ring.
            let bell = end < limit ? end - window / 2 : geometry.dataEnd
            return .ring(base: base, offset: bell < geometry.dataEnd ? bell : .max)
        }
        let isFirst = populated.end == 0 || from == geometry.dataEnd
        if let next, from >= geometry.dataEnd {
            populated.end = geometry.dataEnd
            populated.end += populate(next, from - geometry.dataEnd, end - geometry.dataEnd, isFirst: isFirst)
        } else {
            populated.end = populate(active, from, min(end, geometry.dataEnd), isFirst: isFirst)
        }
        return .again
    }

    /// Populates a piece of a segment, and its index before the first.
    ///
    /// - Returns: Where it ends.
    private func populate(_ segment: Segment, _ start: UInt64, _ end: UInt64, isFirst: Bool) -> UInt64 {
        let geometry = segments.log.geometry
        // There is some way to go yet: an append that waits for this processor would do so for a whole tick of the clock.
        sched_yield()
        if isFirst { populate(segment, geometry.dataEnd..<geometry.segmentSize) }
        let range = start..<min(end, start - start % piece + piece)
        populate(segment, range)
        return range.upperBound
    }

    private func populate(_ segment: Segment, _ range: Range<UInt64>) {
        let count = range.upperBound - range.lowerBound
        segment.mapping.populateForWriting(from: Int(range.lowerBound), byteCount: Int(count))
        if flushesEachAppend { segment.file.startWriting(from: range.lowerBound, byteCount: count) }
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
            if let mapping = populated.segment?.mapping { mapping.letGo(from: 0, byteCount: mapping.byteCount) }
            if last + geometry.segmentSize == base { ahead = populated.end - min(populated.end, geometry.dataEnd) }
        }
        populated = Populated(base: base, segment: segment, end: ahead)
        preparer.ring()
    }

    /// What can be let go of between two offsets without a page being split: not the first, where a roll stores.
    static func wholePieces(from start: UInt64, to end: UInt64) -> Range<UInt64> {
        let (first, last) = (max(start / kept * kept, kept), end / kept * kept)
        return first..<max(first, last)
    }

    /// What lies well behind the tail is touched by nobody here any more: the memory is the page cache's.
    private func letGo(of segment: Segment, before offset: UInt64, _ populated: inout Populated) {
        let behind = Self.wholePieces(from: populated.start, to: offset - min(offset, Self.kept))
        guard !behind.isEmpty else { return }
        segment.mapping.letGo(from: Int(behind.lowerBound), byteCount: behind.count)
        populated.start = behind.upperBound
    }
}
