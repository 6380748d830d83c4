import _CTestSupport

/// What must be so when a flush failed in a script: the call that made it says so; and where it was a flush of what was
/// appended, the log is poisoned from then on, until it is closed.
struct FlushCheck {
    let rows: [ScriptStep.Row]
    let outcome: test_victim_outcome

    func run() throws {
        guard outcome.failed_flush != 0 else { return }
        let time = outcome.failed_ns
        let isFirst = outcome.failed_first != 0
        let caller = isFirst ? rows.firstIndex { $0.time.contains(time) } : nil
        if isFirst {
            guard let caller else { throw Refuted("a flush failed outside of every call, where nobody is told") }
            guard rows[caller].end != .succeeded else {
                throw Refuted("a flush failed in call \(caller), \(rows[caller].step), which succeeded")
            }
        }
        let step = caller.map { rows[$0].step }
        // Others flush published segments too, which aren't appends: retention the next one's activation line, recovery.
        let isOfAppends =
            step == .sync || outcome.failed_segment != 0 && (step == nil || step == .append || step == .close)
        guard isOfAppends else { return }
        // What began before may have been past it.
        let later = rows.indices.filter { rows[$0].time.lowerBound > time || $0 == caller }
        var isPoisoned = false
        for number in later {
            let row = rows[number]
            switch row.step {
            case .open: return
            case .sync,
                .append where isPoisoned || number == caller:
                guard row.end == .poisoned else {
                    throw Refuted("behind a flush that failed call \(number), \(row.step), \(row.end), not poisoned")
                }
                isPoisoned = true
            // Its flush comes behind the one that failed.
            case .close:
                guard row.end != .succeeded else { throw Refuted("a flush failed, and close() succeeded") }
            default: break
            }
        }
    }
}
