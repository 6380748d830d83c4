/// The payloads of a batch, one behind the other.
///
/// They are copied before the lock is taken: how a collection comes by its bytes is the caller's code, which may take
/// long, and needn't come by the same ones the next time.
@safe @usableFromInline
struct BatchPayloads: ~Copyable {
    /// The word of each record's frame.
    private(set) var words: [FrameWord] = []
    /// What the frames take.
    private(set) var size: UInt64 = 0
    @usableFromInline nonisolated(unsafe) var room = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var byteCount = 0
    private let longest: Int
    private let expectedCount: Int

    /// Copies them, until they are more than any batch may be: it is refused then.
    ///
    /// - Parameters:
    ///   - payloads: What they say of their count is a hint, and may be anything.
    ///   - longest: As long as a record may be.
    @inlinable
    init(_ payloads: some Collection<some Collection<UInt8>>, longest: Int) {
        self.init(expecting: payloads.count, longest: longest)
        for payload in payloads {
            let wasContiguous: Void? = payload.withContiguousStorageIfAvailable { bytes in
                unsafe add(UnsafeRawBufferPointer(bytes))
            }
            if wasContiguous == nil { unsafe [UInt8](payload, longest: longest).withUnsafeBytes { unsafe add($0) } }
            if isTooLarge { break }
        }
        markEnds()
    }

    @usableFromInline
    init(expecting count: Int, longest: Int) {
        self.longest = longest
        expectedCount = max(1, min(count, 1 << 16))
        words.reserveCapacity(expectedCount)
    }

    /// Inlinable, and what it frees with it: Swift 6.3.1's optimizer fails an assertion otherwise where a batch is made inline.
    @inlinable deinit { unsafe room.deallocate() }

    /// All payloads; nil where there is no byte.
    var bytes: UnsafeRawPointer? { unsafe UnsafeRawPointer(room.baseAddress) }

    @usableFromInline var isTooLarge: Bool { size > UInt64(longest) + 64 }

    @usableFromInline
    mutating func add(_ payload: UnsafeRawBufferPointer) {
        let count = min(payload.count, longest + 1)
        if unsafe room.count < byteCount + count { grow(by: count) }
        if let start = unsafe room.baseAddress, let from = payload.baseAddress {
            unsafe (start + byteCount).copyMemory(from: from, byteCount: count)
        }
        byteCount += count
        let word = FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: count), flags: FrameWord.Batch.inner)
        words.append(word)
        size += word.frameSize
    }

    /// Asks for all memory at once where records are of one size: large pieces come fresh from the system each time.
    @inline(never)
    private mutating func grow(by count: Int) {
        let wanted = byteCount == 0 ? count * expectedCount : 2 * byteCount
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(byteCount + count, min(wanted, longest + 64)),
            alignment: 8
        )
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: room.prefix(byteCount)))
        unsafe room.deallocate()
        unsafe room = larger
    }

    @usableFromInline
    mutating func markEnds() {
        guard let first = words.first, let last = words.last else { return }
        words[0] = first.record(words.count == 1 ? 0 : FrameWord.Batch.first)
        if words.count > 1 { words[words.count - 1] = last.record(FrameWord.Batch.last) }
    }
}

extension FrameWord {
    fileprivate func record(_ flags: UInt8) -> FrameWord {
        FrameWord(kind: .record, length: UInt32(truncatingIfNeeded: length), flags: flags)
    }
}

extension [UInt8] {
    /// Copies bytes, up to one more than the longest that is of use, whatever the collection says of their number.
    @inlinable
    init(_ payload: some Collection<UInt8>, longest: Int) {
        self.init()
        for byte in payload.prefix(longest + 1) { append(byte) }
    }
}
