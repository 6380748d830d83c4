import Glibc
import MappedLog
import MappedLogTestSupport
import Testing
import _CTestSupport

extension ProcessTests {
    /// Tailers of other processes.
    @Suite struct Following {
        @Test(arguments: ["committed", "durable"], LogMedium.allCases)
        func `a sleeping tailer is woken by an append of another process`(_ visibility: String, on medium: LogMedium)
            throws
        {
            let scene = try Scene(on: medium)
            let durability: Durability = visibility == "durable" ? .everyAppend : .never
            let log = try Log.open(at: scene.log, opening: OpenOptions(durability: durability))
            let flags = visibility == "durable" ? ["--durable"] : []
            let tailer = try scene.tailer(["--latency"] + flags)
            let records = scaled(200)
            for number in 0..<records {
                try scene.wait(for: "the tailer to sleep") {
                    scene.board[tailer.entry, .read] == number && tailer.process.state == "S"
                }
                try log.append([UInt8].record(writer: 0, counter: test_now_ns(), byteCount: 32))
            }
            let report = try scene.finish([tailer], records: records)[0]
            let latencies = report.latencies.sorted().map { Double($0) / 1000 }
            print(
                "\(visibility) tailer woken: median \(latencies[latencies.count / 2]) µs, "
                    + "largest \(latencies[latencies.count - 1]) µs"
            )
            #expect(latencies.count == records)
            #expect(latencies[latencies.count / 2] < 20_000, "woken, not asleep until its bound of 100 ms")
            try log.close()
        }

        @Test(arguments: LogMedium.allCases)
        func `many sleeping tailers are all woken at once`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let log = try Log.open(at: scene.log)
            let tailers = try (0..<6).map { _ in try scene.tailer(["--latency"]) }
            let records = scaled(200)
            for number in 0..<records {
                try scene.wait(for: "the tailers to sleep") {
                    tailers.allSatisfy { scene.board[$0.entry, .read] == number && $0.process.state == "S" }
                }
                try log.append([UInt8].record(writer: 0, counter: test_now_ns(), byteCount: 32))
            }
            let reports = try scene.finish(tailers, records: records)
            let latencies = reports.flatMap(\.latencies).sorted().map { Double($0) / 1000 }
            print(
                "6 tailers woken: median \(latencies[latencies.count / 2]) µs, "
                    + "largest \(latencies[latencies.count - 1]) µs"
            )
            #expect(latencies[latencies.count / 2] < 20_000)
            try log.close()
        }

        @Test(arguments: LogMedium.allCases)
        func `a tailer that was killed in its sleep costs nothing`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let log = try Log.open(at: scene.log)
            let killed = try (0..<3).map { _ in try scene.tailer() }
            let other = try scene.tailer(["--latency"])
            try scene.wait(for: "sleep") { killed.allSatisfy { $0.process.state == "S" } }
            for tailer in killed { tailer.process.kill() }
            let entry = scene.entry(for: 0)
            var slowest: UInt64 = 0
            let count = scaled(1000)
            for counter in 0..<count {
                scene.board[entry, .begun] = counter + 1
                let start = test_now_ns()
                try log.append([UInt8].record(writer: 0, counter: counter, byteCount: 32))
                slowest = max(slowest, test_now_ns() - start)
                scene.board[entry, .acknowledged] = counter + 1
            }
            print("slowest of \(count) appends after three tailers were killed: \(Double(slowest) / 1000) µs")
            #expect(slowest < 1_000_000_000)
            try scene.check(scene.finish([other], records: count)[0])
            try log.close()
        }

        @Test(arguments: LogMedium.allCases)
        func `a tailer follows a log over many rolls`(on medium: LogMedium) throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never), on: medium)
            let tailers = try [scene.tailer(), scene.tailer(["--read-only"]), scene.tailer(["--durable"])]
            // Four records fill a segment.
            let count = scaled(medium == .file ? 2000 : 400)
            let appenders = try (0..<2).map {
                try scene.appender($0, ["--count", "\(count)", "--largest", "30000", "--durability", "interval"])
            }
            for appender in appenders { #expect(try appender.process.wait(upTo: 100) == .exited(0)) }
            let log = try Log.open(at: scene.log)
            let records = try log.nextSequence
            let rolls = try log.endPosition.rawValue / 65536
            #expect(rolls >= count / 2)
            print("\(rolls) rolls, \(records) records")
            try log.close()
            let reports = try scene.finish(tailers, records: records)
            for report in reports {
                #expect(try scene.check(report).acknowledged == 2 * count)
                #expect(report == reports[0])
            }
        }
    }
}
