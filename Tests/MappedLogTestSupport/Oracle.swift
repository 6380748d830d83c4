/// What the board says against what a tailer saw.
public struct Verdict: Sendable {
    /// Records whose append had returned.
    public var acknowledged: UInt64 = 0
    /// Records whose append had not, but which are there.
    public var unacknowledged: UInt64 = 0
    /// What no log may show.
    fileprivate var problems: [String] = []
}

extension Scene {
    /// Checks that a tailer saw every acknowledged record once and in its writer's order; of a record or batch that
    /// was under way when its writer died, all or nothing; and nothing else.
    ///
    /// - Throws: ``Refuted``, with all that isn't so.
    @discardableResult
    public func check(_ report: TailReport) throws -> Verdict {
        var verdict = Verdict()
        verdict.problems = report.problems
        if report.nextSequence != report.records {
            verdict.problems.append("\(report.records) records, and the next sequence is \(report.nextSequence)")
        }
        for writer in report.runs.keys where entries[writer] == nil {
            verdict.problems.append("records of writer \(writer), which there is not")
        }
        for (writer, incarnations) in entries.sorted(by: { $0.key < $1.key }) {
            check(writer, report.runs[writer] ?? [], incarnations, &verdict)
        }
        if verdict.acknowledged + verdict.unacknowledged != report.records {
            verdict.problems.append("\(report.records) records in all")
        }
        guard verdict.problems.isEmpty else { throw Refuted(verdict.problems.joined(separator: "; ")) }
        return verdict
    }

    private func check(
        _ writer: UInt32,
        _ runs: [TailReport.Run],
        _ incarnations: [Int],
        _ verdict: inout Verdict
    ) {
        for (run, next) in zip(runs, runs.dropFirst()) where next.first < run.end {
            verdict.problems.append("writer \(writer): \(next.first) comes behind \(run.end - 1)")
        }
        // What is missing: from the end of each run to the next one's start.
        let end = incarnations.map { board[$0, .begun] }.max() ?? 0
        var missing: [Range<UInt64>] = []
        var due: UInt64 = 0
        for run in runs {
            if run.first > due { missing.append(due..<run.first) }
            due = max(due, run.end)
        }
        if due > end {
            verdict.problems.append("writer \(writer): \(due - 1) was never appended")
        } else if due < end {
            missing.append(due..<end)
        }
        for entry in incarnations {
            let acknowledged = board[entry, .start]..<board[entry, .acknowledged]
            let underWay = board[entry, .acknowledged]..<board[entry, .begun]
            verdict.acknowledged += UInt64(acknowledged.count)
            for gap in missing where gap.overlaps(acknowledged) {
                verdict.problems.append("writer \(writer): \(gap) is missing, though \(acknowledged) was acknowledged")
            }
            let gone = missing.filter { $0.overlaps(underWay) }.reduce(0) { $0 + $1.clamped(to: underWay).count }
            if gone == 0 {
                verdict.unacknowledged += UInt64(underWay.count)
            } else if gone != underWay.count {
                verdict.problems.append("writer \(writer): \(gone) records of the batch \(underWay) are missing")
            }
        }
    }
}
