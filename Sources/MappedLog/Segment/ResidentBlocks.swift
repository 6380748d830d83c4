internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// The blocks of a compacted segment that are in memory, each at its place in a mapping of the segment's size.
///
/// The mapping is address space; only blocks in use have memory. At most those that one call of ``ensure(_:)`` asks
/// for, or two, and three others are kept, and one compressed block beside them: the largest record, then, and five blocks.
/// What is not in memory reads as 0, never as something old. Belongs to one cursor at a time; the lock is for those that are
/// handed from one thread to another.
@safe final class ResidentBlocks: Sendable {
    let compacted: CompactedFile
    let mapping: Mapping
    private let scratch: Scratch
    private let state: Mutex<State>

    /// How many blocks stay besides those just asked for.
    static let spare = 3
    /// How many vacated places are reserved again together: one by one it would take as long as moving them does.
    static let mostVacated = 16

    private struct State {
        var isResident: [Bool]
        /// In the order in which they came.
        var order: [Int] = []
        /// Whose memory was moved elsewhere, and whose place is still a mapping of its own.
        var vacated = RangeSet<Int>()
        var index: [UInt8]?
    }

    /// What a block is read into before it is decompressed.
    @safe private final class Scratch: Sendable {
        nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer

        init(_ byteCount: Int) {
            unsafe buffer = .allocate(byteCount: byteCount, alignment: 16)
        }

        deinit {
            unsafe buffer.deallocate()
        }
    }

    init(_ compacted: CompactedFile) throws(LogError) {
        self.compacted = compacted
        mapping = try Mapping(reserving: compacted.segmentSize, for: compacted.file.path)
        scratch = Scratch(compacted.scratchSize)
        state = Mutex(State(isResident: Array(repeating: false, count: compacted.blockCount)))
    }

    /// Brings what a range of the segment needs into memory, and lets go of blocks that came long ago.
    ///
    /// - Throws: `damaged` where a block is not what was written; `io`.
    func ensure(_ range: Range<UInt64>) throws(LogError) {
        let failure: LogError? = state.withLock { state in
            do throws(LogError) {
                try ensure(range, &state)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// The end of what is in memory from an offset on, without a hole.
    func end(from offset: UInt64) -> UInt64 {
        state.withLock { state in
            var block = Int(offset / compacted.blockSize)
            while block < state.isResident.count, state.isResident[block] { block += 1 }
            return min(UInt64(block) * compacted.blockSize, compacted.segmentSize)
        }
    }

    /// The bytes of an index entry; the index is decompressed once and kept, 1/2048 of the segment's size.
    func indexEntry(at offset: UInt64, dataEnd: UInt64) -> mlog_index_entry? {
        state.withLock { state in
            if state.index == nil {
                guard (try? ensure(dataEnd..<compacted.segmentSize, &state)) != nil else { return nil }
                state.index = unsafe Array(
                    UnsafeRawBufferPointer(
                        start: mapping.start + Int(dataEnd),
                        count: Int(compacted.segmentSize - dataEnd)
                    )
                )
            }
            return unsafe state.index?.withUnsafeBytes {
                unsafe $0.loadUnaligned(fromByteOffset: Int(offset - dataEnd), as: mlog_index_entry.self)
            }
        }
    }

    private func ensure(_ range: Range<UInt64>, _ state: inout State) throws(LogError) {
        guard !range.isEmpty, range.upperBound <= compacted.segmentSize else { return }
        let needed = Int(range.lowerBound / compacted.blockSize)...Int((range.upperBound - 1) / compacted.blockSize)
        let missing = needed.reduce(0) { $0 + (state.isResident[$1] ? 0 : 1) }
        if missing == 0 { return }
        if state.vacated.ranges.reduce(0, { $0 + $1.count }) >= Self.mostVacated { reserveVacated(&state) }
        // Room first, so that the bound holds at each moment. Two for one: where a record ends in the next block, and the one
        // behind it doesn't, memory would be given back each time and asked for again.
        var surplus = state.order.count + missing - max(needed.count, 2) - Self.spare
        var dropped: [Int] = []
        state.order.removeAll { block in
            guard surplus > 0, !needed.contains(block) else { return false }
            surplus -= 1
            dropped.append(block)
            return true
        }
        while dropped.count > missing { drop(dropped.removeLast(), &state) }
        defer { for block in dropped { drop(block, &state) } }
        for block in needed where !state.isResident[block] {
            if let old = dropped.popLast() { move(old, to: block, &state) }
            do throws(LogError) {
                try unsafe compacted.read(block: block, into: place(block), through: scratch.buffer)
            } catch {
                drop(block, &state)
                throw error
            }
            state.isResident[block] = true
            state.order.append(block)
            state.vacated.remove(contentsOf: block..<block + 1)
        }
    }

    /// Gives the memory of a block to another: new pages would have to be zeroed first, and fault one by one.
    private func move(_ old: Int, to new: Int, _ state: inout State) {
        let (from, to) = (compacted.range(of: old), compacted.range(of: new))
        if from.count == to.count,
            mapping.movePages(from: Int(from.lowerBound), to: Int(to.lowerBound), byteCount: to.count)
        {
            state.isResident[old] = false
            state.vacated.insert(contentsOf: old..<old + 1)
        } else {
            drop(old, &state)
        }
    }

    private func reserveVacated(_ state: inout State) {
        for blocks in state.vacated.ranges {
            let from = compacted.range(of: blocks.lowerBound).lowerBound
            let end = compacted.range(of: blocks.upperBound - 1).upperBound
            mapping.reserveAgain(from: Int(from), byteCount: Int(end - from))
        }
        state.vacated = RangeSet()
    }

    private func place(_ block: Int) -> UnsafeMutableRawBufferPointer {
        let range = compacted.range(of: block)
        return unsafe UnsafeMutableRawBufferPointer(start: mapping.start + Int(range.lowerBound), count: range.count)
    }

    private func drop(_ block: Int, _ state: inout State) {
        state.isResident[block] = false
        let place = unsafe place(block)
        unsafe madvise(place.baseAddress!, place.count, MADV_DONTNEED)
    }
}
