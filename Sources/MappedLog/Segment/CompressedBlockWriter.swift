internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// Writes the blocks of a compacted segment, reads each back, decompresses it and compares it with the raw segment, by a
/// thread of its own beside the one that compresses (`spec/protocol.md`, 16).
///
/// Memory: what is compressed and not yet written, two blocks and one compressed one.
@safe final class CompressedBlockWriter: Sendable {
    private let source: OpenFile
    private let target: OpenFile
    private let header: SegmentHeader
    private let blockSize: UInt64
    private let slots: Slots
    private let inspect: Inspect
    private let thread = BackgroundThread()
    private let state = Mutex(State())
    private let work: Mutex<Work>

    /// Looks at the raw segment, calls its argument now and then, and throws what is wrong.
    typealias Inspect = @Sendable (_ pause: () -> Void) throws(LogError) -> Void

    private struct State {
        /// Of the blocks that are compressed.
        var entries: [mlog_compacted_entry] = []
        /// How many of them stand in the file and were compared.
        var done = 0
        var failure: LogError?
    }

    /// What is compressed, in turns.
    @safe private final class Slots: Sendable {
        let count: Int
        private let byteCount: Int
        private nonisolated(unsafe) let start: UnsafeMutableRawPointer

        init(byteCount: Int, blockSize: UInt64) {
            count = max(2, Int((4 << 20) / blockSize))
            self.byteCount = byteCount
            unsafe start = .allocate(byteCount: count * byteCount, alignment: 4096)
        }

        deinit {
            unsafe start.deallocate()
        }

        subscript(block: Int) -> UnsafeMutableRawBufferPointer {
            unsafe UnsafeMutableRawBufferPointer(start: start + block % count * byteCount, count: byteCount)
        }
    }

    /// Belongs to who is at work: the thread, or, where it can't follow, the one who compresses.
    @safe private struct Work: ~Copyable {
        var isInspected = false
        /// Up to where the disk has been told to begin.
        var begun: UInt64 = 0
        let blocks: UnsafeMutableRawBufferPointer
        let scratch: UnsafeMutableRawBufferPointer

        init(blockSize: UInt64) {
            unsafe blocks = .allocate(byteCount: 2 * Int(blockSize), alignment: 4096)
            unsafe scratch = .allocate(byteCount: CompactedBlock.scratchSize(blockSize), alignment: 16)
        }

        deinit {
            unsafe blocks.deallocate()
            unsafe scratch.deallocate()
        }
    }

    /// How much is given to the disk at a time.
    private static let pieceSize: UInt64 = 2 << 20

    /// - Parameters:
    ///   - source: The raw segment.
    ///   - target: What is written.
    ///   - header: The segment's.
    ///   - blockSize: How much of it is compressed by itself.
    ///   - slotSize: How many bytes a block may have once it is compressed.
    ///   - inspect: What else is to be found out about the raw segment meanwhile.
    init(
        _ source: OpenFile,
        _ target: OpenFile,
        header: SegmentHeader,
        blockSize: UInt64,
        slotSize: Int,
        inspect: @escaping Inspect
    ) {
        self.source = source
        self.target = target
        self.header = header
        self.blockSize = blockSize
        self.inspect = inspect
        slots = Slots(byteCount: slotSize, blockSize: blockSize)
        work = Mutex(Work(blockSize: blockSize))
        // Without a thread the caller does it all.
        try? thread.start("mlog-write") { [weak self] in
            self?.run()
            return .seconds(3600)
        }
    }

    /// Where the next block goes; waits for room.
    ///
    /// - Throws: What was found to be wrong with a block before it, or with the raw segment.
    func slot() throws(LogError) -> UnsafeMutableRawBufferPointer {
        func look() throws(LogError) -> Int? {
            let (failure, block, done) = state.withLock { ($0.failure, $0.entries.count, $0.done) }
            if let failure { throw failure }
            return block - done < slots.count ? block : nil
        }
        while true {
            if let block = try look() { return unsafe slots[block] }
            run()
        }
    }

    /// Hands on the block that is in the slot; the entry says how long it is, and where it belongs.
    func add(_ entry: mlog_compacted_entry) {
        state.withLock { $0.entries.append(entry) }
        thread.ring()
    }

    /// Writes and compares what is left.
    ///
    /// - Throws: What was found to be wrong: `damaged` where a block is not what was written, or the raw segment isn't;
    ///   `diskFull`, `io`.
    /// - Returns: The entries of all blocks, each of which holds what the raw segment does.
    func finish() throws(LogError) -> [mlog_compacted_entry] {
        thread.end()
        run()
        let (failure, entries) = state.withLock { ($0.failure, $0.entries) }
        if let failure { throw failure }
        return entries
    }

    /// Ends it where it is.
    ///
    /// - Parameter failure: Why.
    func end(_ failure: LogError) {
        state.withLock { $0.failure = $0.failure ?? failure }
        thread.end()
    }

    // MARK: The thread

    private func run() {
        work.withLock { work in
            guard state.withLock({ $0.failure == nil }) else { return }
            if !work.isInspected {
                work.isInspected = true
                do throws(LogError) { try inspect { handle(&work) } } catch { fail(error) }
            }
            handle(&work)
        }
    }

    private func fail(_ error: LogError) {
        state.withLock { $0.failure = $0.failure ?? error }
    }

    /// Sees to the blocks that are there.
    private func handle(_ work: inout Work) {
        while true {
            let next: (number: Int, entry: mlog_compacted_entry)? = state.withLock { state in
                guard state.failure == nil, state.done < state.entries.count else { return nil }
                return (state.done, state.entries[state.done])
            }
            guard let next else { return }
            do throws(LogError) { try handle(next.number, next.entry, &work) } catch { return fail(error) }
            state.withLock { $0.done += 1 }
        }
    }

    private func handle(_ number: Int, _ entry: mlog_compacted_entry, _ work: inout Work) throws(LogError) {
        let end = entry.offset + UInt64(MLOG_LZ4_BLOCK_OVERHEAD) + entry.dataSize
        let compressed = unsafe slots[number][..<Int(end - entry.offset)]
        try unsafe target.write(UnsafeRawBufferPointer(rebasing: compressed), at: entry.offset)

        let offset = UInt64(number) * blockSize
        let count = Int(min(blockSize, header.geometry.segmentSize - offset))
        let block = CompactedBlock(number: number, entry: entry, position: header.base + offset)
        let written = unsafe UnsafeMutableRawBufferPointer(rebasing: work.blocks[..<count])
        let raw = unsafe UnsafeMutableRawBufferPointer(rebasing: work.blocks[count..<2 * count])
        try unsafe block.read(from: target, into: written, through: work.scratch)
        let read = try unsafe source.read(into: raw, at: offset)
        guard read == count, unsafe memcmp(raw.baseAddress!, written.baseAddress!, count) == 0 else {
            throw .damaged(
                target.path,
                block.position,
                expected: "what \(source.path) holds",
                found: "other bytes in the block"
            )
        }
        if end - work.begun >= Self.pieceSize {
            try target.beginFlush(work.begun..<end)
            work.begun = end
        }
    }
}
