import MappedLog

extension TextReport {
    /// Adds what a compaction or restoring did.
    ///
    /// - Parameters:
    ///   - report: What was done.
    ///   - done: What to call it.
    mutating func add(_ report: CompactionReport, done: String) {
        if report.removedLeftovers > 0 { add(line: "removed \(report.removedLeftovers) unfinished files") }
        for path in report.kept { add(line: "set aside, it was not what the other form holds: \(path)") }
        for damage in report.damaged {
            let place = damage.position.map { ", position \($0)" } ?? ""
            add(line: "left as it is: \(damage.file)\(place): \(damage.what)", .bad)
        }
        if report.segments.isEmpty {
            add(line: "nothing \(report.isDryRun ? done : "to do")", .good)
            return
        }
        if report.isDryRun {
            for segment in report.segments { add(line: "\(done): \(segment.file)") }
            return
        }
        add(
            table: ["SEGMENT", " BEFORE", " AFTER", " RATIO"],
            rows: report.segments.map { segment in
                [
                    segment.file.split(separator: "/").last.map(String.init) ?? segment.file,
                    ByteSize(bytes: segment.bytesBefore).description,
                    ByteSize(bytes: segment.bytesAfter).description,
                    Self.ratio(segment.bytesBefore, segment.bytesAfter),
                ]
            }
        )
        let before = ByteSize(bytes: report.bytesBefore)
        let after = ByteSize(bytes: report.bytesAfter)
        let speed = ByteSize(bytes: UInt64(Double(report.bytesBefore) / max(report.seconds, 1e-6)))
        add(
            line: "\(done) \(report.segments.count) segments: \(before) to \(after), ratio "
                + "\(Self.ratio(report.bytesBefore, report.bytesAfter)), \(speed)/s",
            .good
        )
    }

    /// How many times smaller, with two digits after the point.
    static func ratio(_ before: UInt64, _ after: UInt64) -> String {
        let hundredths = UInt64((Double(before) / Double(max(after, 1)) * 100).rounded())
        let digits = String(hundredths % 100 + 100).dropFirst()
        return "\(hundredths / 100).\(digits)"
    }
}

extension CompactionReport {
    /// - Throws: Where a segment is damaged, and was left as it is.
    func refuseDamage(of log: LogLocation) throws {
        if damaged.isEmpty { return }
        throw CommandFailure(
            "\(log): \(damaged.count) damaged segments were left as they are; 'mlog verify \(log)' says what is wrong"
        )
    }
}
