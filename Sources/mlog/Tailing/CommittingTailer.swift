import MappedLog

/// A named tailer that commits once a second, and at the end.
struct CommittingTailer: ~Copyable {
    private static let interval = Duration.seconds(1)

    private var tailer: NamedTailer
    private var committed: UInt64
    private var lastCommit = ContinuousClock.now

    init(_ tailer: consuming NamedTailer) {
        committed = tailer.sequence
        self.tailer = tailer
    }
}

extension CommittingTailer: RecordSource {
    var sequence: UInt64 { tailer.sequence }

    mutating func read(
        upTo count: Int,
        _ body: (borrowing Record) throws(LogError) -> Void
    ) throws(LogError) -> Int {
        try tailer.read(upTo: count, body)
    }

    mutating func wait(upTo duration: Duration) throws(LogError) -> Bool {
        try tailer.wait(upTo: duration)
    }

    mutating func outputWasWritten(isLast: Bool) throws(LogError) {
        let now = ContinuousClock.now
        // At the end even when nothing was read, so that a new name is known from then on.
        guard isLast || (tailer.sequence != committed && now - lastCommit >= Self.interval) else { return }
        try tailer.commit()
        committed = tailer.sequence
        lastCommit = now
    }
}
