internal import _CMappedLog

/// Finds places in a log by sequence, position and time: a binary search over activation lines, then over the sparse
/// index, then a walk inside one block.
struct Seek {
    private let reader: LogReader
    /// Where the tailer stands: the segment that needn't be mapped again.
    private let near: Segment?
    private var geometry: SegmentGeometry { reader.log.geometry }

    struct Place {
        var segment: Segment
        var offset: UInt64
        var sequence: UInt64
        /// It is the `end` frame of a segment whose successor isn't there yet.
        var isBehindEnd = false
        var position: UInt64 { segment.base + offset }
        var nextPosition: UInt64 {
            isBehindEnd ? segment.base + segment.geometry.segmentSize + SegmentGeometry.dataStart : position
        }
    }

    init(_ reader: LogReader, near: Segment? = nil) {
        self.reader = reader
        self.near = near
    }

    func place(_ start: TailStart) throws(LogError) -> Place {
        var first: UInt64?
        while true {
            do throws(LogError) {
                return try find(start)
            } catch  where error.code == .missingSegment || error.code == .recordsGone {
                // Retention may have removed what was about to be opened, or long ago what is still listed.
                reader.forgetListing()
                let now = try reader.log.medium.listSegments().first?.base
                if now == first { throw error }
                first = now
            }
        }
    }

    private func find(_ start: TailStart) throws(LogError) -> Place {
        switch start {
        case .first: return try first()
        case .end: return try end()
        case .sequence(let sequence): return try record(sequence)
        case .position(let position): return try frame(position)
        case .time(let time): return try record(from: time.nanosecondsSince1970)
        }
    }

    // MARK: The two ends

    private func first() throws(LogError) -> Place {
        try startOfSegment(reader.log.bases()[0])
    }

    private func end() throws(LogError) -> Place {
        let end = try reader.end()
        let base = geometry.base(of: end.position)
        let isAtStart = end.position - base == SegmentGeometry.dataStart
        if let segment = try mapped(base),
            !isAtStart || segment.activation?.baseSequence == end.sequence
        {
            return Place(segment: segment, offset: end.position - base, sequence: end.sequence)
        }
        // The last frame is `end`, and its successor is not there yet, or not activated.
        guard isAtStart, base > 0, let segment = try mapped(base - geometry.segmentSize) else {
            throw reader.absence(of: base, sequence: end.sequence)
        }
        var place = try Self.lastEntry(in: segment, before: geometry.dataEnd)
        while try pass(&place) {}
        place.isBehindEnd = true
        return place
    }

    // MARK: By sequence

    private func record(_ sequence: UInt64) throws(LogError) -> Place {
        let end = try reader.end()
        if sequence == end.sequence { return try self.end() }
        guard sequence < end.sequence else {
            throw LogError(
                .outOfRange,
                file: reader.log.medium.path,
                expected: "a sequence of at most \(end.sequence)",
                found: "\(sequence)",
                advice: "wait for the record, or start at the end"
            )
        }
        let bases = try reader.bases(upTo: end.position)
        if let first = try? reader.activation(bases[0]), sequence < first.baseSequence {
            throw .gone(sequence..<first.baseSequence, position: bases[0] + SegmentGeometry.dataStart)
        }
        let base = lastBase(bases) { $0.baseSequence <= sequence }
        let segment = try self.segment(base)
        var place = try Self.lastEntry(in: segment, before: limit(segment, end)) { $0.sequence <= sequence }
        while place.sequence < sequence {
            let before = (position: place.position, sequence: place.sequence)
            if try !pass(&place) { break }
            if place.sequence > sequence {
                throw .gone(before.sequence..<place.sequence, position: before.position)
            }
        }
        return place
    }

    // MARK: By position

    private func frame(_ position: Position) throws(LogError) -> Place {
        let end = try reader.end()
        if position.rawValue == end.position { return try self.end() }
        let base = geometry.base(of: position.rawValue)
        guard position.rawValue < end.position, geometry.isFrameStart(position.rawValue) else {
            throw notAFrame(position, end)
        }
        let segment = try segment(base)
        let offset = position.rawValue - base
        var place = try Self.lastEntry(in: segment, before: offset + 1)
        while place.offset < offset {
            if try !pass(&place) { break }
        }
        guard place.offset == offset else { throw notAFrame(position, end) }
        return place
    }

    private func notAFrame(_ position: Position, _ end: LogReader.End) -> LogError {
        LogError(
            .outOfRange,
            file: reader.log.medium.path,
            position: position,
            expected: "the position of a frame, at most \(end.position)",
            found: "none starts there",
            advice: "use a position that an append or a record named"
        )
    }

    // MARK: By time

    private func record(from time: Int64) throws(LogError) -> Place {
        let end = try reader.end()
        let bases = try reader.bases(upTo: end.position)
        // Where removed segments had larger timestamps, even the first may have one that is too large.
        let isTooEarly = (try? reader.activation(bases[0])).map { $0.largestTimestampBefore < time } ?? true
        let base = isTooEarly ? lastBase(bases) { $0.largestTimestampBefore < time } : bases[0]
        var segment = try self.segment(base)
        while true {
            var place = try Self.lastEntry(in: segment, before: limit(segment, end)) {
                $0.largestTimestampBefore < time
            }
            while place.position < end.position, case .frame(let frame) = place.segment.frame(at: place.offset),
                frame.kind != .end
            {
                if frame.kind == .record && frame.timestamp >= time { return place }
                _ = try pass(&place)
            }
            let next = segment.base + geometry.segmentSize
            guard next <= geometry.base(of: end.position), let successor = try mapped(next) else {
                return try self.end()
            }
            segment = successor
        }
    }

    // MARK: Parts

    /// Moves over one frame; false at the end of the segment.
    private func pass(_ place: inout Place) throws(LogError) -> Bool {
        switch place.segment.frame(at: place.offset) {
        case .frame(let frame):
            if frame.kind == .end { return false }
            if frame.kind == .record { place.sequence &+= 1 }
            if frame.kind == .lost {
                let next = UInt64(bitPattern: frame.timestamp)
                guard next >= place.sequence else {
                    throw .damaged(
                        place.segment.file.path,
                        place.position,
                        expected: "a lost frame whose next sequence is at least \(place.sequence)",
                        found: "\(next)"
                    )
                }
                place.sequence = next
            }
            place.offset = frame.end
            return true
        case .unsupported(_, let part):
            throw reader.log.unsupported(part, place.segment.file.path, place.position)
        case .empty:
            throw .damaged(place.segment.file.path, place.position, expected: "a frame", found: "nothing")
        case .bad(let reason):
            throw .damaged(place.segment.file.path, place.position, expected: "a frame", found: reason)
        }
    }

    /// The start of the last block, before an offset, whose index entry satisfies the condition; the start of the data
    /// region where there is none.
    ///
    /// A missing entry means the one before.
    static func lastEntry(
        in segment: Segment,
        before offset: UInt64,
        where condition: (IndexEntry) -> Bool = { _ in true }
    ) throws(LogError) -> Place {
        var low: UInt64 = 0
        var high = min((offset - 1) / SegmentGeometry.blockSize + 1, segment.geometry.blockCount)
        var best: IndexEntry?
        // Each look at a frame costs a page fault, or a block: only the one that is chosen is looked at.
        let hint: (UInt64) -> IndexEntry? = { block in
            segment.indexEntry(block: block).flatMap { $0.offset < offset ? $0 : nil }
        }
        while low < high {
            let middle = (low + high) / 2
            var block = middle
            var found = hint(block)
            while found == nil && block > low {
                block -= 1
                found = hint(block)
            }
            if let found, !condition(found) {
                high = block
            } else {
                best = found ?? best
                low = middle + 1
            }
        }
        if let chosen = best {
            best = nil
            var block = chosen.offset / SegmentGeometry.blockSize + 1
            while best == nil && block > 0 {
                block -= 1
                best = entry(in: segment, block, before: offset)
            }
        }
        if let best { return Place(segment: segment, offset: best.offset, sequence: best.sequence) }
        guard let line = segment.activation else {
            throw .damaged(
                segment.file.path,
                segment.base + SegmentGeometry.dataStart,
                expected: "an activation line",
                found: "none, or another"
            )
        }
        return Place(segment: segment, offset: SegmentGeometry.dataStart, sequence: line.baseSequence)
    }

    /// A hint is used only if the frame it names is there, and begins no inside of a batch.
    private static func entry(in segment: Segment, _ block: UInt64, before offset: UInt64) -> IndexEntry? {
        guard let entry = segment.indexEntry(block: block), entry.offset < offset,
            case .frame(let frame) = segment.frame(at: entry.offset),
            frame.word.flags & (FrameWord.Batch.inner | FrameWord.Batch.last) == 0 || frame.kind != .record
        else { return nil }
        return entry
    }

    /// The last segment whose activation line satisfies the condition; the first of all where none does.
    ///
    /// A line that can't be read is left out: damage in one segment hides no other. Who comes to it is told.
    private func lastBase(_ bases: ArraySlice<UInt64>, where condition: (ActivationLine) -> Bool) -> UInt64 {
        var candidates = bases
        var low = candidates.startIndex
        while candidates.endIndex - low > 1 {
            let middle = (low + candidates.endIndex) / 2
            if let line = try? reader.activation(candidates[middle]) {
                if condition(line) { low = middle } else { candidates = candidates[..<middle] }
            } else {
                candidates.remove(at: middle)
            }
        }
        return candidates[low]
    }

    private func segment(_ base: UInt64) throws(LogError) -> Segment {
        guard let segment = try mapped(base) else { throw reader.absence(of: base, sequence: 0) }
        return segment
    }

    /// The segment, if it is there; not mapped again where it is the one at hand, and has not been replaced or removed.
    private func mapped(_ base: UInt64) throws(LogError) -> Segment? {
        if let near, near.base == base, near.file.isCurrent() { return near }
        return try reader.segment(base)
    }

    private func startOfSegment(_ base: UInt64) throws(LogError) -> Place {
        let sequence = try reader.activation(base).baseSequence
        return Place(segment: try segment(base), offset: SegmentGeometry.dataStart, sequence: sequence)
    }

    private func limit(_ segment: Segment, _ end: LogReader.End) -> UInt64 {
        end.position < segment.base + geometry.segmentSize ? end.position - segment.base : geometry.dataEnd
    }
}
