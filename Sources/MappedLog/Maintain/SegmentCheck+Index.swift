extension SegmentCheck {
    /// Reads the index, numbers the runs with its help, and holds each entry against the frame that it should name.
    ///
    /// - Parameters:
    ///   - scanner: Of the segment.
    ///   - first: Of the segment's first record, if it is known.
    ///   - behind: What is known from behind the segment.
    /// - Throws: Nothing that the disk says.
    mutating func checkIndex(_ scanner: SegmentScanner, first: UInt64?, behind: Behind?) throws(LogError) {
        var good: [UInt64: IndexEntry] = [:]
        var bad: Set<UInt64> = []
        for block in 0..<header.geometry.blockCount {
            let (isAbsent, entry) = try scanner.indexEntry(block: block)
            if let entry { good[block] = entry } else if !isAbsent { bad.insert(block) }
        }
        number(first: first, behind: behind, index: good)
        for block in 0..<header.geometry.blockCount {
            if let fault = fault(in: block, good[block], isBad: bad.contains(block)) { indexFaults.append(fault) }
        }
        blocks = [:]
        unreadable = scanner.unreadable
    }

    private func fault(in block: UInt64, _ entry: IndexEntry?, isBad: Bool) -> IndexFault? {
        let range = block * SegmentGeometry.blockSize..<(block + 1) * SegmentGeometry.blockSize
        // In a block that a gap touches, nobody knows which frame was the first.
        let isTouched = gaps.contains { gap in
            gap.start < range.upperBound && (gap.end ?? .max) > range.lowerBound
        }
        guard let start = blocks[block] else {
            if isTouched || (entry == nil && !isBad) { return nil }
            return IndexFault(
                block: block,
                offset: range.upperBound,
                expected: "no entry, since no frame starts in this block",
                found: entry == nil ? "a bad CRC" : "one"
            )
        }
        func fault(_ expected: String, _ found: String) -> IndexFault {
            IndexFault(block: block, offset: start.frame.end, expected: expected, found: found)
        }
        if isBad { return fault("an entry with a right CRC", "a bad CRC") }
        guard let entry else {
            // An `end` frame needs none: nobody starts reading there.
            return isTouched || start.frame.kind == .end ? nil : fault("an entry for this block", "none")
        }
        guard entry.offset == start.frame.offset else {
            if isTouched && entry.offset < start.frame.offset { return nil }
            return fault("offset \(start.frame.offset)", "\(entry.offset)")
        }
        let sequence =
            start.behindLost.map { $0.sequence &+ $0.records }
            ?? runs[start.run].sequence.map { $0 &+ start.recordsBefore }
        if let sequence, sequence != entry.sequence { return fault("sequence \(sequence)", "\(entry.sequence)") }
        let isRight =
            entry.largestTimestampBefore == start.largestBefore
            || start.mayBeLarger && entry.largestTimestampBefore > start.largestBefore
        return isRight ? nil : fault("largest timestamp \(start.largestBefore)", "\(entry.largestTimestampBefore)")
    }
}
