/// The background thread of a process that may write which does to old segments what the log's options say: removes
/// what retention lets go, and compacts what is old enough.
///
/// A thread of its own, at low priority: both take their time, and no flush shall wait for them.
final class OldSegmentKeeper: Sendable {
    private let place: LogPlace
    private let retention: Retention?
    private let compactAfter: Duration?
    private let thread = BackgroundThread()

    /// Bounded, so that a close doesn't wait for long; what couldn't be done is done the next time.
    private static let patience = Duration.seconds(2)
    /// An age is reached without a roll, too.
    private static let longestPause = Duration.seconds(60)
    /// Somebody else is at it.
    private static let retryPause = Duration.seconds(1)

    /// Nil: the options leave old segments alone.
    init?(_ place: LogPlace, _ settings: LogSettings) {
        var retention = settings.retention
        // Who prepares a segment of a log in memory keeps to its bound.
        if place.medium.bound != nil { retention?.segments = nil }
        if retention?.isEmpty ?? true, settings.compactAfter == nil { return nil }
        self.place = place
        self.retention = retention.flatMap { $0.isEmpty ? nil : $0 }
        compactAfter = settings.compactAfter
    }

    func start() throws(LogError) {
        try thread.start("mlog-retain", .lowest) { [self] in work() }
    }

    /// A segment has become durable.
    func ring() {
        thread.ring()
    }

    func end() {
        thread.end()
    }

    private func work() -> Duration {
        do throws(LogError) {
            if let retention { _ = try Retaining(place, retention).run(patience: Self.patience) }
            if let compactAfter { try compact(compactAfter) }
        } catch  where error.code == .compacting || error.code == .recovering {
            return Self.retryPause
        } catch {
            // What can't be done is left, and `mlog retain` and `mlog compact` say why.
        }
        return min(max(compactAfter ?? Self.longestPause, Self.retryPause), Self.longestPause)
    }

    private func compact(_ age: Duration) throws(LogError) {
        let lock = try Compactor.lock(place)
        defer { withExtendedLifetime(lock) {} }
        // A close waits for one block at most.
        _ = try Compactor.run(place, CompactionOptions(minimumAge: age)) { [thread] _ throws(LogError) in
            if thread.isEnding { throw .closed }
        }
    }
}
