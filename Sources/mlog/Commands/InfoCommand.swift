import ArgumentParser
import MappedLog

/// `mlog info`: tells what a log holds.
struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Tell what a log holds: its records, segments and tailers.",
        discussion: """
            It only reads, and may run beside writers and tailers. A segment's bytes are those it stands for, the \
            stored ones those it takes.

            Examples:
              mlog info /var/log/orders
              mlog info --json /var/log/orders | jq .durablePosition
            """
    )

    @Argument(help: LogLocation.help, completion: .directory, transform: LogLocation.parse)
    var log: LogLocation

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let info = try Log.openReadOnly(at: log.path).info()
        if json {
            try JSONReport.print(info)
        } else {
            try report(info).print()
        }
    }

    private func report(_ info: LogInfo) -> TextReport {
        var report = TextReport()
        let count = info.nextSequence - min(info.firstSequence, info.nextSequence)
        let durable = info.durablePosition == info.endPosition ? "" : ", durable up to \(info.durablePosition)"
        report.add(facts: [
            ("id", info.id),
            ("format", info.formatVersion),
            ("medium", info.medium),
            ("segment size", ByteSize(bytes: info.segmentSize).description),
            ("records", count == 0 ? "0" : "\(count), sequence \(info.firstSequence) to \(info.nextSequence - 1)"),
            ("positions", "\(info.firstPosition) to \(info.endPosition)\(durable)"),
            ("writers", info.writers == 0 ? "none" : "at least \(info.writers)"),
        ])
        report.add(line: "")
        report.add(
            table: ["segment", "state", " bytes", " stored", " records", "first record", "last record"],
            rows: info.segments.map(row)
        )
        if let obstacle = info.retentionObstacle {
            report.add(line: "")
            report.add(line: "retention removes no more: \(obstacle)", .bad)
        }
        if !info.tailers.isEmpty {
            report.add(line: "")
            report.add(
                table: ["tailer", " position", " sequence", " lag", "protecting"],
                rows: info.tailers.map {
                    [$0.name, "\($0.position)", "\($0.sequence)", "\($0.lag)", $0.protecting ? "yes" : "no"]
                }
            )
        }
        return report
    }

    private func row(_ segment: LogInfo.SegmentInfo) -> [String] {
        [
            name(ofSegmentAt: segment.base),
            segment.state,
            ByteSize(bytes: segment.bytes).description,
            ByteSize(bytes: segment.storedBytes).description,
            "\(segment.records)",
            time(segment.firstTimestamp),
            time(segment.lastTimestamp),
        ]
    }

    /// The position as it stands in the name of the segment's file.
    private func name(ofSegmentAt base: UInt64) -> String {
        let digits = String(base, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func time(_ nanoseconds: Int64?) -> String {
        nanoseconds.map { Timestamp(nanosecondsSince1970: $0).rfc3339 } ?? "-"
    }
}
