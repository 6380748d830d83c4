import MappedLog
import MappedLogTestSupport
import Testing
import _CTestSupport

extension ProcessTests {
    @Suite struct ManyWriters {
        @Test(arguments: LogMedium.allCases)
        func `four processes of two threads append 100000 records each, and two tailers see the same`(
            on medium: LogMedium
        ) throws {
            let scene = try Scene(LogOptions(segmentSize: 1 << 20, durability: .never), on: medium)
            let count = scaled(100_000)
            let tailers = try [scene.tailer(), scene.tailer(["--read-only"])]
            let start = test_now_ns()
            let appenders = try (0..<4).map {
                try scene.appender(2 * $0, threads: 2, ["--count", "\(count)", "--mix", "mixed"])
            }
            for appender in appenders { #expect(try appender.process.wait(upTo: 120) == .exited(0)) }
            let appended = Double(test_now_ns() - start) / 1e9
            let reports = try scene.finish(tailers, records: 8 * count)
            let read = Double(test_now_ns() - start) / 1e9
            print("\(8 * count) records: appended in \(appended) s, read by both tailers within \(read) s")
            for report in reports {
                #expect(report.records == 8 * count)
                let verdict = try scene.check(report)
                #expect(verdict.unacknowledged == 0)
                for writer in 0..<8 {
                    #expect(report.runs[UInt32(writer)] == [TailReport.Run(first: 0, end: count)])
                }
            }
            #expect(reports[0].digest == reports[1].digest)
        }

        @Test(arguments: LogMedium.allCases)
        func `eight processes that open, append to and close a log at once share one log`(on medium: LogMedium) throws {
            let scene = try Scene(nil, on: medium)
            let appenders = try (0..<8).map {
                try scene.appender(
                    $0,
                    ["--create", "65536", "--rounds", "5", "--count", "40", "--durability", "interval"]
                )
            }
            for appender in appenders { #expect(try appender.process.wait(upTo: 60) == .exited(0)) }
            let tailer = try scene.tailer(["--read-only"])
            let report = try scene.finish([tailer], records: 8 * 5 * 40)[0]
            #expect(try scene.check(report).acknowledged == 8 * 5 * 40)
            let log = try Log.open(at: scene.log)
            #expect(log.recovery?.cleanClose == true, "the last to close left its note")
            #expect(try log.nextSequence == 8 * 5 * 40)
            try log.close()
        }
    }
}
