internal import _CMappedLog

/// The places of the records that lie before a cursor in its block, so that it can step back.
struct History {
    private struct Place {
        let offset: UInt64
        let word: FrameWord
        /// Of the record, or of the next one where the frame is none.
        let sequence: UInt64
    }

    private var places: [Place] = []
    /// Where the last place ends: a cursor that stands elsewhere has moved since.
    private var end: UInt64?

    /// Moves the cursor before the previous record; its word, or nil at the first record of the log.
    mutating func stepBack(_ cursor: inout Cursor) throws(LogError) -> FrameWord? {
        if end != cursor.position { places = [] }
        while true {
            guard let place = places.popLast() else {
                if try !fill(&cursor) { return nil }
                continue
            }
            let behind = cursor.sequence
            cursor.moveBack(to: place.offset, sequence: place.sequence)
            end = cursor.position
            if place.word.kind == .record { return place.word }
            if place.word.kind == .lost && place.sequence < behind {
                throw .gone(place.sequence..<behind, position: cursor.position)
            }
        }
    }

    /// Collects the frames of the block before the cursor; false: there is none.
    private mutating func fill(_ cursor: inout Cursor) throws(LogError) -> Bool {
        if cursor.offset == SegmentGeometry.dataStart, try !enterPrevious(&cursor) { return false }
        let segment = cursor.segment
        let from = try Seek.lastEntry(in: segment, before: cursor.offset)
        var offset = from.offset
        var sequence = from.sequence
        places = []
        while offset < cursor.offset {
            guard case .frame(let frame) = segment.frame(at: offset) else {
                throw .damaged(
                    segment.file.path,
                    segment.base + offset,
                    expected: "a frame, since later ones were read",
                    found: "none"
                )
            }
            places.append(Place(offset: offset, word: frame.word, sequence: sequence))
            if frame.kind == .record { sequence &+= 1 }
            if frame.kind == .lost { sequence = max(sequence, UInt64(bitPattern: frame.timestamp)) }
            offset = frame.end
        }
        end = cursor.position
        return true
    }

    /// Moves the cursor from the start of a segment to the `end` frame of the one before; false: there is none.
    private func enterPrevious(_ cursor: inout Cursor) throws(LogError) -> Bool {
        guard cursor.base > 0, let segment = try cursor.reader.segment(cursor.base - cursor.geometry.segmentSize)
        else { return false }
        let from = try Seek.lastEntry(in: segment, before: cursor.geometry.dataEnd)
        var offset = segment.seal?.endOffset ?? from.offset
        while true {
            guard case .frame(let frame) = segment.frame(at: offset) else {
                throw .damaged(
                    segment.file.path,
                    segment.base + offset,
                    expected: "a frame of a sealed segment",
                    found: "none"
                )
            }
            if frame.kind == .end { break }
            offset = frame.end
        }
        cursor.move(to: segment, offset: offset, sequence: cursor.sequence)
        return offset > SegmentGeometry.dataStart ? true : try enterPrevious(&cursor)
    }
}
