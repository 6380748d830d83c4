/// The background thread of a process that may write which removes what the log's retention lets go.
///
/// A thread of its own: removing a large file takes its time, and no flush shall wait for it.
final class RetentionKeeper: Sendable {
    private let place: LogPlace
    private let rule: Retention
    private let thread = BackgroundThread()

    /// Bounded, so that a close doesn't wait for long; what couldn't be done is done the next time.
    private static let patience = Duration.seconds(2)
    /// An age is reached without a roll, too.
    private static let longestPause = Duration.seconds(60)

    init(_ place: LogPlace, _ rule: Retention) {
        self.place = place
        self.rule = rule
    }

    func start() throws(LogError) {
        try thread.start { [self] in
            do throws(LogError) {
                _ = try Retaining(place, rule).run(patience: Self.patience)
            } catch  where error.code == .compacting || error.code == .recovering {
                // Somebody else is at it.
                return .seconds(1)
            } catch {
                // What can't be removed stays, and `mlog retain` says why.
            }
            return Self.longestPause
        }
    }

    /// A segment has become durable.
    func ring() {
        thread.ring()
    }

    func end() {
        thread.end()
    }
}
