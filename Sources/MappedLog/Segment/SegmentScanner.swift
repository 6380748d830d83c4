internal import SystemPackage
internal import _CMappedLog

/// Reads a segment file's frames with `pread(2)`, so that a bad sector is an error and not a signal.
///
/// Of a compacted segment it reads and decompresses what it needs, block by block. Memory: one window of 1 MiB, or of
/// a block if that is more, whatever the frames' lengths. Not safe to share between threads.
@safe final class SegmentScanner {
    let file: OpenFile
    let header: SegmentHeader
    private let seed: UInt32
    private let window: UnsafeMutableRawBufferPointer
    private let windowSize: Int
    /// Nil: the segment is raw.
    private let compacted: CompactedFile?
    private let scratch: UnsafeMutableRawBufferPointer
    private var windowRange: Range<UInt64> = 0..<0
    /// What can't be read counts as zeros, and is noted in `unreadable`; so does what the file is too short for.
    private let toleratesBadSectors: Bool
    /// Offsets that the disk could not read so far, in the order in which they were met.
    private(set) var unreadable: [Range<UInt64>] = []

    var base: UInt64 { header.base }
    var geometry: SegmentGeometry { header.geometry }

    var isCompacted: Bool { compacted != nil }

    init(_ file: OpenFile, header: SegmentHeader, toleratesBadSectors: Bool = false) {
        self.file = file
        self.header = header
        self.toleratesBadSectors = toleratesBadSectors
        seed = header.seed.state
        compacted = nil
        windowSize = 1 << 20
        unsafe window = .allocate(byteCount: windowSize, alignment: 4096)
        unsafe scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    init(_ compacted: CompactedFile, toleratesBadSectors: Bool = false) {
        file = compacted.file
        header = compacted.header.segment
        self.toleratesBadSectors = toleratesBadSectors
        seed = header.seed.state
        self.compacted = compacted
        // Whole blocks, so that each is decompressed once on the way through.
        windowSize = max(1 << 20, Int(compacted.blockSize))
        unsafe window = .allocate(byteCount: windowSize, alignment: 4096)
        unsafe scratch = .allocate(byteCount: compacted.scratchSize, alignment: 16)
    }

    deinit {
        unsafe scratch.deallocate()
        unsafe window.deallocate()
    }

    /// Looks at the frame at an offset in the data region.
    ///
    /// - Throws: `io` where the disk can't read.
    func frame(at offset: UInt64) throws(LogError) -> FrameFinding {
        guard geometry.fits(offset: offset, size: SegmentGeometry.frameHeaderSize, isEnd: true) else {
            return .bad("the segment's data ends here")
        }
        let bytes = try unsafe bytes(at: offset, count: MLOG_FRAME_HEADER_BYTES)
        let raw = unsafe bytes.loadUnaligned(as: mlog_frame_header.self)
        let word = FrameWord(rawValue: raw.word)
        if word.rawValue == 0 { return .empty }
        if let misfit = word.misfit(at: offset, in: geometry) { return .bad(misfit) }
        return FrameFinding(word: word, offset: offset, raw: raw, crc: try checksum(of: word, at: offset))
    }

    /// The record outside any batch at an offset, where it is whole and in the window; else ask ``frame(at:)``.
    @inline(__always)
    func plainRecord(at offset: UInt64) -> Frame? {
        let window = windowRange
        guard offset >= window.lowerBound, offset + SegmentGeometry.frameHeaderSize <= window.upperBound else {
            return nil
        }
        let bytes = unsafe self.window.baseAddress! + Int(offset - window.lowerBound)
        let raw = unsafe bytes.loadUnaligned(as: mlog_frame_header.self)
        let word = FrameWord(rawValue: raw.word)
        guard word.isPlainRecord, offset + word.frameSize <= window.upperBound,
            geometry.fits(offset: offset, size: word.frameSize, isEnd: false),
            unsafe mlog_frame_crc(bytes, Int(word.frameSize), word.rawValue, base + offset, seed) == raw.crc
        else { return nil }
        return Frame(offset: offset, word: word, lag: raw.lag, timestamp: raw.timestamp)
    }

    private func checksum(of word: FrameWord, at offset: UInt64) throws(LogError) -> UInt32 {
        let size = Int(word.frameSize)
        if size <= windowSize {
            let frame = try unsafe bytes(at: offset, count: size)
            return unsafe mlog_frame_crc(frame.baseAddress!, size, word.rawValue, base + offset, seed)
        }
        var checksum = header.seed
        checksum.add(base + offset)
        checksum.add(word.rawValue)
        var at = offset + 12
        while at < offset + UInt64(size) {
            let piece = min(windowSize, Int(offset) + size - Int(at))
            try unsafe checksum.add(bytes(at: at, count: piece))
            at += UInt64(piece)
        }
        return checksum.value
    }

    /// Bytes of the file, valid until the next call.
    ///
    /// - Throws: `truncatedSegment` where the file ends before.
    func bytes(at offset: UInt64, count: Int) throws(LogError) -> UnsafeRawBufferPointer {
        let end = offset + UInt64(count)
        if offset < windowRange.lowerBound || end > windowRange.upperBound {
            windowRange = 0..<0
            if let compacted { return try unsafe decompressed(compacted, at: offset, count: count) }
            let wanted = unsafe UnsafeMutableRawBufferPointer(
                rebasing: window[..<min(windowSize, Int(max(geometry.segmentSize, end) - offset))]
            )
            let read = try unsafe fill(wanted, from: offset)
            windowRange = offset..<(offset + UInt64(read))
        }
        guard end <= windowRange.upperBound else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                position: Position(rawValue: base + offset),
                expected: "\(geometry.segmentSize) bytes",
                found: "\(windowRange.upperBound) bytes",
                advice: "restore the file from a copy, or run `mlog repair`"
            )
        }
        let from = Int(offset - windowRange.lowerBound)
        return unsafe UnsafeRawBufferPointer(rebasing: window[from..<(from + count)])
    }

    /// Fills the window with whole blocks; what doesn't fit into it, across blocks, is put together at its start.
    private func decompressed(
        _ compacted: CompactedFile,
        at offset: UInt64,
        count: Int
    ) throws(LogError) -> UnsafeRawBufferPointer {
        let end = offset + UInt64(count)
        precondition(end <= compacted.segmentSize && count <= windowSize)
        let blockSize = compacted.blockSize
        var from = offset / blockSize * blockSize
        // The blocks themselves, where the window holds them all.
        let last = min((end + blockSize - 1) / blockSize * blockSize, compacted.segmentSize)
        if last - from > UInt64(windowSize) {
            try copyPieces(compacted, offset..<end)
            windowRange = offset..<end
            return unsafe UnsafeRawBufferPointer(rebasing: window[..<count])
        }
        let stop = min(from + UInt64(windowSize) / blockSize * blockSize, compacted.segmentSize)
        windowRange = from..<from
        let start = from
        while from < stop {
            let range = compacted.range(of: Int(from / blockSize))
            let place = Int(range.lowerBound - start)..<Int(range.upperBound - start)
            do throws(LogError) { try unsafe read(compacted, range, into: .init(rebasing: window[place])) } catch {
                windowRange = 0..<0
                // What lies behind what is asked for is only read ahead.
                if from < end { throw error }
                break
            }
            from = range.upperBound
        }
        windowRange = start..<from
        let place = Int(offset - start)..<Int(end - start)
        return unsafe UnsafeRawBufferPointer(rebasing: window[place])
    }

    private func copyPieces(_ compacted: CompactedFile, _ wanted: Range<UInt64>) throws(LogError) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(compacted.blockSize), alignment: 4096)
        defer { unsafe block.deallocate() }
        var from = wanted.lowerBound
        while from < wanted.upperBound {
            let range = compacted.range(of: Int(from / compacted.blockSize))
            try unsafe read(compacted, range, into: .init(rebasing: block[..<range.count]))
            let piece = from..<min(range.upperBound, wanted.upperBound)
            unsafe UnsafeMutableRawBufferPointer(rebasing: window[Int(piece.lowerBound - wanted.lowerBound)...])
                .copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: block[Int(from - range.lowerBound)..<Int(piece.upperBound - range.lowerBound)]
                    )
                )
            from = piece.upperBound
        }
    }

    private func read(
        _ compacted: CompactedFile,
        _ range: Range<UInt64>,
        into target: UnsafeMutableRawBufferPointer
    ) throws(LogError) {
        do throws(LogError) {
            try unsafe compacted.read(
                block: Int(range.lowerBound / compacted.blockSize),
                into: target,
                through: scratch
            )
        } catch {
            guard toleratesBadSectors else { throw error }
            unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
            if !unreadable.contains(range) { unreadable.append(range) }
        }
    }

    private func fill(_ wanted: UnsafeMutableRawBufferPointer, from offset: UInt64) throws(LogError) -> Int {
        // What was never written isn't read: it would fill the page cache with zeros.
        let end = offset + UInt64(wanted.count)
        if end <= file.byteCount, (file.nextData(from: offset) ?? end) >= end {
            unsafe wanted.initializeMemory(as: UInt8.self, repeating: 0)
            return wanted.count
        }
        guard toleratesBadSectors else { return try unsafe file.read(into: wanted, at: offset) }
        let (count, failed) = unsafe file.readWhatCanBeRead(into: wanted, at: offset)
        for range in failed where !unreadable.contains(range) { unreadable.append(range) }
        if count < wanted.count {
            unsafe UnsafeMutableRawBufferPointer(rebasing: wanted[count...]).initializeMemory(
                as: UInt8.self,
                repeating: 0
            )
        }
        return wanted.count
    }

    // MARK: Header lines and index

    func activation() throws(LogError) -> ActivationLine? {
        if let compacted { return compacted.header.activation }
        let raw = try unsafe bytes(at: UInt64(MLOG_ACTIVATION_OFFSET), count: MemoryLayout<mlog_activation>.size)
        return ActivationLine(unsafe raw.loadUnaligned(as: mlog_activation.self), header: header)
    }

    func seal() throws(LogError) -> SealLine? {
        if let compacted { return compacted.header.seal }
        let raw = try unsafe bytes(at: UInt64(MLOG_SEAL_OFFSET), count: MemoryLayout<mlog_seal>.size)
        return SealLine(unsafe raw.loadUnaligned(as: mlog_seal.self), header: header)
    }

    /// What stands in the index for a block: nothing at all, a good entry, or a bad one.
    func indexEntry(block: UInt64) throws(LogError) -> (isAbsent: Bool, entry: IndexEntry?) {
        let size = MemoryLayout<mlog_index_entry>.size
        let raw = try unsafe bytes(at: geometry.entryOffset(block: block), count: size)
        let isAbsent = unsafe raw.allSatisfy { $0 == 0 }
        let entry = IndexEntry(unsafe raw.loadUnaligned(as: mlog_index_entry.self), block: block, header: header)
        return (isAbsent, entry)
    }

    // MARK: Searching

    /// The first byte other than 0 in a range, or nil.
    ///
    /// What was never written is skipped, not read.
    func firstNonZero(in range: Range<UInt64>) throws(LogError) -> UInt64? {
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard let data = isCompacted ? offset : file.nextData(from: offset), data < range.upperBound else {
                return nil
            }
            offset = max(offset, data)
            let count = min(windowSize, Int(range.upperBound - offset))
            let piece = try unsafe bytes(at: offset, count: count)
            if let found = unsafe piece.firstNonZero { return offset + UInt64(found) }
            offset += UInt64(count)
        }
        return nil
    }

    /// The end of the last byte other than 0 in a range; its start when there is none.
    func endOfNonZero(in range: Range<UInt64>) throws(LogError) -> UInt64 {
        var last = range.lowerBound
        var offset = range.lowerBound
        while let found = try firstNonZero(in: offset..<range.upperBound) {
            let count = min(windowSize, Int(range.upperBound - found))
            let piece = try unsafe bytes(at: found, count: count)
            last = found + UInt64(unsafe piece.lastIndex { $0 != 0 }!) + 1
            offset = found + UInt64(count)
        }
        return last
    }

    /// The first frame at or behind an offset, sought at each multiple of 8.
    ///
    /// - Throws: `damaged` when so many places only look like frames that the search would take too long: a file that
    ///   was made to waste the reader's time.
    func nextFrame(from start: UInt64) throws(LogError) -> Frame? {
        // Each candidate costs the checksum of the length it claims; honest data claims little.
        var budget = 16 * max(geometry.segmentSize, 1 << 20)
        var offset = (start + 7) & ~7
        while offset < geometry.dataEnd, let found = try firstNonZero(in: offset..<geometry.dataEnd) {
            offset = found & ~7
            let count = min(windowSize, Int(geometry.dataEnd - offset)) & ~7
            let piece = try unsafe bytes(at: offset, count: count)
            // Only words that could be a frame's are worth a checksum.
            guard let candidate = unsafe piece.firstPlausibleWord(at: offset, in: geometry) else {
                offset += UInt64(count)
                continue
            }
            offset += UInt64(candidate)
            switch try frame(at: offset) {
            case .frame(let frame), .unsupported(let frame, _): return frame
            case .empty: break
            case .bad: budget = budget &- min(budget, FrameWord(rawValue: try word(at: offset)).frameSize)
            }
            if budget == 0 {
                throw .damaged(
                    file.path,
                    base + offset,
                    expected: "frames or zeros",
                    found: "too many things that look like frames"
                )
            }
            offset += 8
        }
        return nil
    }

    private func word(at offset: UInt64) throws(LogError) -> UInt64 {
        try unsafe bytes(at: offset, count: 8).loadUnaligned(as: UInt64.self)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var firstNonZero: Int? {
        let words = count / 8
        for index in 0..<words where unsafe loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) != 0 {
            return unsafe self[(index * 8)...].firstIndex { $0 != 0 }
        }
        return unsafe self[(words * 8)...].firstIndex { $0 != 0 }
    }

    fileprivate func firstPlausibleWord(at offset: UInt64, in geometry: SegmentGeometry) -> Int? {
        for index in stride(from: 0, to: count - 7, by: 8) {
            let word = FrameWord(rawValue: unsafe loadUnaligned(fromByteOffset: index, as: UInt64.self))
            if word.rawValue != 0 && word.reserved == 0 && word.kind.rawValue != 0
                && word.misfit(at: offset + UInt64(index), in: geometry) == nil
            {
                return index
            }
        }
        return nil
    }
}
