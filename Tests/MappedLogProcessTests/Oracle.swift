import MappedLogTestSupport
import Testing

/// What the board says against what a tailer saw.
struct Verdict {
    /// Records whose append had returned.
    var acknowledged: UInt64 = 0
    /// Records whose append had not, but which are there.
    var unacknowledged: UInt64 = 0
}

extension Scene {
    /// Checks that a tailer saw every acknowledged record once and in its writer's order; of a record or batch that
    /// was under way when its writer died, all or nothing; and nothing else.
    @discardableResult
    func check(_ report: TailReport, sourceLocation: SourceLocation = #_sourceLocation) -> Verdict {
        var verdict = Verdict()
        #expect(report.problems == [], sourceLocation: sourceLocation)
        #expect(report.nextSequence == report.records, sourceLocation: sourceLocation)
        for writer in report.runs.keys where entries[writer] == nil {
            Issue.record("records of writer \(writer), which there is not", sourceLocation: sourceLocation)
        }
        for (writer, incarnations) in entries.sorted(by: { $0.key < $1.key }) {
            let runs = report.runs[writer] ?? []
            check(writer, runs, incarnations, &verdict, sourceLocation)
        }
        #expect(
            verdict.acknowledged + verdict.unacknowledged == report.records,
            "records in all",
            sourceLocation: sourceLocation
        )
        return verdict
    }

    private func check(
        _ writer: UInt32,
        _ runs: [TailReport.Run],
        _ incarnations: [Int],
        _ verdict: inout Verdict,
        _ sourceLocation: SourceLocation
    ) {
        for (run, next) in zip(runs, runs.dropFirst()) where next.first < run.end {
            Issue.record(
                "writer \(writer): \(next.first) comes behind \(run.end - 1)",
                sourceLocation: sourceLocation
            )
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
            Issue.record("writer \(writer): \(due - 1) was never appended", sourceLocation: sourceLocation)
        } else if due < end {
            missing.append(due..<end)
        }
        for entry in incarnations {
            let acknowledged = board[entry, .start]..<board[entry, .acknowledged]
            let underWay = board[entry, .acknowledged]..<board[entry, .begun]
            verdict.acknowledged += UInt64(acknowledged.count)
            for gap in missing where gap.overlaps(acknowledged) {
                Issue.record(
                    "writer \(writer): \(gap) is missing, though \(acknowledged) was acknowledged",
                    sourceLocation: sourceLocation
                )
            }
            let gone = missing.filter { $0.overlaps(underWay) }.reduce(0) { $0 + $1.clamped(to: underWay).count }
            if gone == 0 {
                verdict.unacknowledged += UInt64(underWay.count)
            } else if gone != underWay.count {
                Issue.record(
                    "writer \(writer): \(gone) records of the batch \(underWay) are missing",
                    sourceLocation: sourceLocation
                )
            }
        }
    }
}
