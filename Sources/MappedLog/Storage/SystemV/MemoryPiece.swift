/// A part of an attached segment that stands for a file.
@safe struct MemoryPiece: Sendable {
    let segment: AttachedSegment
    let range: Range<Int>
    /// The locks on its bytes, where it has any.
    var locks: SemaphoreLocks?
    /// Whether the segment is still what its key leads to.
    var isCurrent: @Sendable () -> Bool = { true }

    var start: UnsafeMutableRawPointer { unsafe segment.start + range.lowerBound }
    var byteCount: UInt64 { UInt64(range.count) }

    init(_ segment: AttachedSegment, _ range: Range<Int>? = nil, locks: SemaphoreLocks? = nil) {
        self.segment = segment
        self.range = range ?? 0..<segment.byteCount
        self.locks = locks
    }

    /// How many bytes there are from an offset on, at most `count`.
    func available(_ count: Int, from offset: UInt64) -> Int {
        offset >= byteCount ? 0 : min(count, range.count - Int(offset))
    }
}
