internal import Synchronization

/// An integer in shared memory that several processes load and store: each access is one atomic instruction.
@safe struct SharedWord<Value: AtomicRepresentable & Sendable>: Sendable
where Value.AtomicRepresentation: Sendable {
    private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<Value>>

    @inline(__always)
    init(_ address: UnsafeMutableRawPointer) {
        unsafe word = address.assumingMemoryBound(to: Atomic<Value>.self)
    }
}

extension SharedWord where Value == UInt64 {
    @inline(__always)
    func load() -> UInt64 { unsafe word.pointee.load(ordering: .acquiring) }

    @inline(__always)
    func store(_ value: UInt64) { unsafe word.pointee.store(value, ordering: .releasing) }

    // For words whose order others give, by their own stores or by fences.

    @inline(__always)
    func relaxedLoad() -> UInt64 { unsafe word.pointee.load(ordering: .relaxed) }

    @inline(__always)
    func relaxedStore(_ value: UInt64) { unsafe word.pointee.store(value, ordering: .relaxed) }
}

extension SharedWord where Value == UInt32 {
    /// For futex(2).
    var address: UnsafeMutablePointer<UInt32> {
        unsafe UnsafeMutableRawPointer(word).assumingMemoryBound(to: UInt32.self)
    }

    @inline(__always)
    func load() -> UInt32 { unsafe word.pointee.load(ordering: .acquiring) }

    @inline(__always)
    func store(_ value: UInt32) { unsafe word.pointee.store(value, ordering: .releasing) }

    @inline(__always)
    func relaxedLoad() -> UInt32 { unsafe word.pointee.load(ordering: .relaxed) }

    @inline(__always)
    func relaxedStore(_ value: UInt32) { unsafe word.pointee.store(value, ordering: .relaxed) }

    @inline(__always)
    func exchange(_ value: UInt32) -> UInt32 {
        unsafe word.pointee.exchange(value, ordering: .acquiringAndReleasing)
    }

    /// False: it held another value, which `expected` then has.
    func compareExchange(_ expected: inout UInt32, _ value: UInt32) -> Bool {
        let (exchanged, original) = unsafe word.pointee.compareExchange(
            expected: expected,
            desired: value,
            ordering: .acquiringAndReleasing
        )
        expected = original
        return exchanged
    }

    /// Sets the lowest bit; what the word then is.
    func setBit0() -> UInt32 {
        unsafe word.pointee.bitwiseOr(1, ordering: .sequentiallyConsistent).newValue
    }

    func sequentiallyConsistentStore(_ value: UInt32) {
        unsafe word.pointee.store(value, ordering: .sequentiallyConsistent)
    }
}
