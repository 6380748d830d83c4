internal import _CMappedLog

extension SegmentScanner {
    /// Writes index entries and seal line anew where they disagree with the segment's frames; not flushed.
    ///
    /// - Parameter sequence: Of the segment's first record.
    /// - Throws: `io`.
    /// - Returns: How many entries, and how many seal lines, were written or cleared.
    func mendIndexAndSeal(sequence: UInt64) throws(LogError) -> (entries: Int, seals: Int) {
        var wanted: [UInt64: IndexEntry] = [:]
        let walk = try walk(from: SegmentGeometry.dataStart, sequence: sequence) { frame, walk throws(LogError) in
            let block = frame.offset / SegmentGeometry.blockSize
            if wanted[block] == nil {
                wanted[block] = IndexEntry(
                    offset: frame.offset,
                    sequence: walk.sequence,
                    largestTimestampBefore: walk.largestTimestamp
                )
            }
        }
        var entries = 0
        for block in 0..<geometry.blockCount {
            let (isAbsent, found) = try indexEntry(block: block)
            // An entry that an `end` frame alone would have had is not kept: the frames say nothing of it.
            if wanted[block] == found && (found != nil || isAbsent) { continue }
            try file.write(
                wanted[block]?.encoded(for: header) ?? mlog_index_entry(),
                at: geometry.entryOffset(block: block)
            )
            entries += 1
        }
        var seal: SealLine?
        if case .end(let frame) = walk.stop {
            seal = SealLine(
                endOffset: frame.offset,
                recordCount: walk.recordCount,
                smallestTimestamp: walk.smallestTimestamp,
                largestTimestamp: walk.largestTimestamp
            )
        }
        if try self.seal() == seal { return (entries, 0) }
        try file.write(seal?.encoded(for: header) ?? mlog_seal(), at: UInt64(MLOG_SEAL_OFFSET))
        return (entries, 1)
    }
}
