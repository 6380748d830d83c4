internal import _CMappedLog

/// What the background threads ask of the appender: bells, and the end of it.
extension Appender {
    /// From now on the next append rings the bell.
    ///
    /// Returns once every thread's next append sees it.
    func askForBell() {
        unsafe local.wantsBell.relaxedStore(1)
        mlog_fence_all_threads()
    }

    /// Repairs what a dead owner of the lock left, if there is such.
    func settle() throws(LogError) {
        guard case .clean = try mutex.lock(), !control.isRepairDue else { return try takeOverAndLetGo() }
        mutex.unlock()
    }

    /// An append behind this offset of a segment rings the bell, so that more is populated.
    func setBell(base: UInt64, offset: UInt64) throws(LogError) {
        guard case .clean = try mutex.lock() else { return try takeOverAndLetGo() }
        if unsafe local.pointee.base == base {
            setBell(offset)
            unsafe local.pointee.unansweredBell = .max
            unsafe local.pointee.isPopulatorHeldUp = false
        }
        mutex.unlock()
    }

    /// Under the append lock: of the active segment.
    func setBell(_ offset: UInt64) {
        unsafe local.pointee.bellOffset = offset
        setLimit()
    }

    func setLimit() {
        let end = geometry.dataEnd - SegmentGeometry.frameHeaderSize
        // So plain appends needn't look at the sequence: until the next segment, and the next limit, no more records are
        // appended, by whomever, than a segment has bytes.
        let sequence = control.slot(control.generation.load()).sequence
        let hasSequences = sequence < SegmentGeometry.sequenceLimit - geometry.segmentSize
        unsafe local.pointee.limit = hasSequences ? min(local.pointee.bellOffset, local.pointee.indexedEnd, end) : 0
    }

    private func takeOverAndLetGo() throws(LogError) {
        try takeOverFromDeadOwner()
        mutex.unlock()
    }

    /// No append begins any more, and none is under way when this returns.
    func closeAndDrain() {
        unsafe local.entry.relaxedStore(Self.isClosed)
        mlog_fence_all_threads()
        unsafe mlog_threads_drain(local)
    }

    func wakeAll() {
        waiters.wake(.committed)
    }
}
