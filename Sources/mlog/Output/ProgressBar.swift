import MappedLog
import SystemPackage

/// How far something has come, on standard error, if that is a terminal and it takes over a second.
struct ProgressBar: ~Copyable {
    private static let patience = Duration.seconds(1)
    private static let interval = Duration.milliseconds(100)

    private let terminal = Terminal(.standardError)
    private let start = ContinuousClock.now
    private var nextUpdate = ContinuousClock.now + Self.patience
    private var isShown = false

    /// Shows how much is done, if it is time to.
    ///
    /// - Parameters:
    ///   - done: How many bytes are done.
    ///   - total: Of how many.
    ///   - note: What else there is to say.
    mutating func update(done: UInt64, of total: UInt64, note: String = "") {
        guard terminal.isTerminal, total > 0 else { return }
        let now = ContinuousClock.now
        guard now >= nextUpdate else { return }
        nextUpdate = now + Self.interval
        isShown = true
        let share = min(1, Double(done) / Double(total))
        let rest = (now - start) / .seconds(1) * (1 - share) / max(share, 1e-6)
        let sizes = "\(ByteSize(bytes: done)) of \(ByteSize(bytes: total))"
        let text = " \(Int(share * 100))%, \(sizes)\(note), \(TimeSpan(.seconds(Int64(rest)))) left"
        let room = max(0, min(50, terminal.width - text.count - 3))
        let filled = Int(share * Double(room))
        let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: room - filled)
        show("\r\u{1B}[K[\(bar)]\(text)")
    }

    /// Shows how far a compaction has come, if it is time to.
    mutating func update(_ progress: CompactionProgress) {
        let seconds = max((ContinuousClock.now - start) / .seconds(1), 1e-3)
        var note = ", \(ByteSize(bytes: UInt64(Double(progress.bytesDone) / seconds)))/s"
        if progress.bytesWritten > 0 {
            note = ", ratio \(TextReport.ratio(progress.bytesFinished, progress.bytesWritten))" + note
        }
        update(done: progress.bytesDone, of: progress.bytesTotal, note: note)
    }

    /// Takes the bar away, so that what is said next has the line for itself.
    mutating func clear() {
        if isShown { show("\r\u{1B}[K") }
        isShown = false
    }

    private func show(_ text: String) {
        var errors = BufferedOutput(to: .standardError)
        errors.write(text)
        // A bar that can't be shown is no reason to stop what it is about.
        try? errors.flush()
    }
}
