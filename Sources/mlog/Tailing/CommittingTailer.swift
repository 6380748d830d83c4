import MappedLog

/// A named tailer that commits once a second, and at the end.
struct CommittingTailer: ~Copyable {
    private static let interval = Duration.seconds(1)

    private var tailer: NamedTailer
    private var committed: UInt64
    private var lastCommit = ContinuousClock.now

    init(_ tailer: consuming NamedTailer) {
        committed = tailer.tailer.sequence
        self.tailer = tailer
    }
}

extension CommittingTailer: RecordSource {
    var sequence: UInt64 { tailer.tailer.sequence }

    mutating func read(
        upTo count: Int,
        _ body: (borrowing Record) throws(LogError) -> Void
    ) throws(LogError) -> Int {
        try tailer.tailer.read(upTo: count, body)
    }

    mutating func wait(upTo duration: Duration) throws(LogError) -> Bool {
        try tailer.wait(upTo: duration)
    }

    mutating func outputWasWritten(isLast: Bool) throws(LogError) {
        let now = ContinuousClock.now
        guard sequence != committed, isLast || now - lastCommit >= Self.interval else { return }
        try tailer.commit()
        committed = sequence
        lastCommit = now
    }
}
