import MappedLog

extension TextReport {
    /// Adds what a recovery found and did.
    mutating func add(_ report: RecoveryReport) {
        if report.writersAlive {
            add(line: "the log has writers: nothing to recover, nothing done")
            return
        }
        if let position = report.cutPosition {
            add(line: "cut \(report.cutBytes) bytes of a torn tail at position \(position)", .bad)
        } else if report.cleanClose {
            add(line: "closed cleanly: nothing to recover", .good)
        } else {
            add(line: "nothing was torn", .good)
        }
        add(kept: report.kept)
        for name in report.movedTailers { add(line: "tailer \(name) was beyond the end: moved to it") }
        if report.copiedSegments > 0 { add(line: "copied \(report.copiedSegments) segments after a failed flush") }
        if report.rebuiltIndexEntries > 0 { add(line: "rebuilt \(report.rebuiltIndexEntries) index entries") }
        if report.rewrittenSeals > 0 { add(line: "rewrote \(report.rewrittenSeals) seals") }
        add(line: "the log ends at position \(report.endPosition), before sequence \(report.nextSequence)")
    }

    /// Adds where the bytes are that are no longer in the log.
    mutating func add(kept paths: [String]) {
        for path in paths { add(line: "kept in \(path)") }
    }
}
