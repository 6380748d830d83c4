internal import _CMappedLog

/// The background thread that publishes the segment behind the active one, before it is needed.
///
/// It waits for the disk, so that the ``Populator`` needn't. When a segment has been sealed it asks the ``Housekeeper`` to
/// flush it, and only then: the next segment shall not wait behind all that is written there.
final class Preparer: Sendable {
    private let control: ControlWords
    private let segments: WritableSegments
    private let appender: Appender
    private let thread: BackgroundThread
    private let populator: BackgroundThread
    private let housekeeper: BackgroundThread

    private static let idlePause = Duration.seconds(3600)
    /// Until the gate is free again.
    private static let gatePause = Duration.milliseconds(5)
    /// Until there may be room again.
    private static let retryPause = Duration.seconds(1)

    init(
        control: ControlWords,
        segments: WritableSegments,
        appender: Appender,
        thread: BackgroundThread,
        populator: BackgroundThread,
        housekeeper: BackgroundThread
    ) {
        self.control = control
        self.segments = segments
        self.appender = appender
        self.thread = thread
        self.populator = populator
        self.housekeeper = housekeeper
    }

    func start() throws(LogError) {
        try thread.start("mlog-prepare", .batch) { [self] in work() }
    }

    func end() {
        thread.end()
    }

    /// - Returns: How long to pause if no bell rings.
    private func work() -> Duration {
        guard appender.writingFailure() == nil else { return Self.idlePause }
        do throws(LogError) {
            guard try prepare() else { return Self.gatePause }
        } catch {
            // It isn't lost: the roll that needs the segment meets the same failure, and reports it.
            housekeeper.ring()
            return Self.retryPause
        }
        populator.ring()
        housekeeper.ring()
        return Self.idlePause
    }

    /// Publishes the segment behind the active one if it isn't there; false: it's not the moment.
    ///
    /// Under the gate, and with the tail looked at again there: who was held up since its last look could publish what
    /// has been filled, and then compacted or removed, since. Both need the gate for it.
    private func prepare() throws(LogError) -> Bool {
        let geometry = segments.log.geometry
        let base = geometry.base(of: control.currentSlot().tail)
        if try segments.existing(base + geometry.segmentSize) != nil { return true }
        let lock = try segments.log.medium.openLock()
        guard try lock.tryLockGate() else { return false }
        defer { lock.unlockGate() }
        guard geometry.base(of: control.currentSlot().tail) == base else { return false }
        _ = try segments.prepared(base + geometry.segmentSize)
        return true
    }
}
