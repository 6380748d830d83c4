import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CTestSupport

extension ProcessTests {
    /// Writers that are killed at random, again and again.
    @Suite(.disabled(if: Sanitizer.killingObstacle != nil, Comment(rawValue: Sanitizer.killingObstacle ?? "")))
    struct Deaths {
        struct Storm: CustomTestStringConvertible, Sendable {
            let name: String
            let deaths: UInt64
            let durability: String
            var mix = "mixed"
            var segmentSize: UInt64 = 1 << 20
            /// The largest payload.
            var largest = 200
            var longestBatch = 8

            var testDescription: String { name }

            var arguments: [String] {
                [
                    "--durability", durability, "--mix", mix, "--largest", "\(largest)", "--longest-batch",
                    "\(longestBatch)",
                ]
            }
        }

        @Test(
            arguments: [
                Storm(name: "never flushed", deaths: 60, durability: "never"),
                Storm(name: "flushed every 10 ms", deaths: 40, durability: "interval"),
                Storm(name: "every append flushed", deaths: 40, durability: "everyAppend"),
                Storm(
                    name: "rolls dominate",
                    deaths: 40,
                    durability: "never",
                    mix: "plain",
                    segmentSize: 65536,
                    largest: 16_000
                ),
                Storm(
                    name: "batches dominate",
                    deaths: 40,
                    durability: "never",
                    mix: "batch",
                    segmentSize: 65536,
                    longestBatch: 100
                ),
            ],
            LogMedium.allCases
        )
        func `writers killed every few milliseconds lose no acknowledged record and stop nobody`(
            _ storm: Storm,
            on medium: LogMedium
        ) throws {
            var random = SeededGenerator(storm.name)
            let scene = try Scene(LogOptions(segmentSize: storm.segmentSize, durability: .never), on: medium)
            let tailers = try [scene.tailer(), scene.tailer(["--read-only"])]
            let pace = ["--pace", "50000"]
            let steady = try [0, 1].map { try scene.appender($0, storm.arguments + pace) }
            for appender in steady { #expect(try appender.process.line(within: 20) == "ready") }

            // Two victims at a time, so that one dies while the other starts.
            var victims: [Appender?] = [nil, nil]
            // Most of them on files: the protocol is the same.
            let deaths = scaled(medium == .file ? storm.deaths : storm.deaths / 2)
            for death in 0..<Int(deaths) {
                let place = death % 2
                if let victim = victims[place] {
                    // Some die while they open the log, most in the midst of appends.
                    if Int.random(in: 0..<8, using: &random) > 0 {
                        try scene.wait(for: "a first append of a writer") {
                            scene.acknowledged(victim) > 0 || victim.process.hasEnded
                        }
                    }
                    test_sleep_ns(UInt64.random(in: 0..<3_000_000, using: &random))
                    #expect(victim.process.kill() == .killed(SIGKILL), "\(victim.process.lastLine)")
                }
                victims[place] = try scene.appender(
                    UInt32(10 + 10 * place),
                    threads: 2,
                    storm.arguments + ["--pace", "5000"]
                )
            }
            for victim in victims { victim?.process.kill() }
            scene.board[.stop] = 1
            for appender in steady {
                #expect(try appender.process.wait(upTo: 30) == .exited(0), "\(appender.process.lastLine)")
                print("\(storm.name): longest gap of a writer that lived \(scene.longestGap(appender)) ms")
                #expect(scene.longestGap(appender) < 5000)
            }

            let log = try Log.open(at: scene.log)
            // Flushers died too, and poisoned nothing.
            try log.sync()
            #expect(try log.durablePosition == log.endPosition)
            let records = try log.nextSequence
            try log.close()
            let reports = try scene.finish(tailers, records: records)
            #expect(reports[0].digest == reports[1].digest)
            let verdict = try scene.check(reports[0])
            try scene.check(reports[1])
            print(
                "\(storm.name): \(deaths) deaths, \(verdict.acknowledged) records acknowledged, "
                    + "\(verdict.unacknowledged) there without"
            )
        }

        @Test(arguments: ["never", "interval", "everyAppend"], LogMedium.allCases)
        func `after all writers were killed at once everything committed is there, and running tailers go on`(
            _ durability: String,
            on medium: LogMedium
        ) throws {
            var random = SeededGenerator("all writers killed, \(durability)")
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never), on: medium)
            let tailers = try [scene.tailer(["--read-only"]), scene.tailer(["--read-only", "--durable"])]
            for round in 0..<Int(scaled(medium == .file ? 10 : 4)) {
                let appenders = try (0..<3).map {
                    try scene.appender(2 * $0, threads: 2, ["--durability", durability, "--mix", "mixed"])
                }
                for appender in appenders {
                    try scene.wait(for: "appends") { scene.acknowledged(appender) > 20 }
                }
                test_sleep_ns(UInt64.random(in: 0..<5_000_000, using: &random))
                for appender in appenders { appender.process.send(SIGKILL) }
                for appender in appenders { appender.process.kill() }
                if round % 2 == 0 {
                    let log = try Log.open(at: scene.log)
                    let report = try #require(log.recovery, "the first writer recovers")
                    #expect(!report.cleanClose)
                    try log.append(batch: [] + [marker(scene), marker(scene)])
                    try log.close()
                }
            }
            let log = try Log.open(at: scene.log)
            let records = try log.nextSequence
            try log.close()
            let reports = try scene.finish(tailers, records: records)
            #expect(reports[0] == reports[1])
            let verdict = try scene.check(reports[0])
            print("all writers killed, \(durability): \(verdict)")
            // Whoever begins now sees the same.
            #expect(try scene.finish([scene.tailer(["--read-only"])], records: records) == [reports[0]])
        }

        /// A record of the test's own process.
        private func marker(_ scene: Scene) -> [UInt8] {
            let entry = scene.entry(for: 99)
            let counter = scene.board[entry, .begun]
            scene.board[entry, .begun] = counter + 1
            scene.board[entry, .acknowledged] = counter + 1
            return .record(writer: 99, counter: counter, byteCount: 40)
        }

        @Test(arguments: LogMedium.allCases)
        func `a writer that dies in the middle of an append holds the next one up for a moment only`(
            on medium: LogMedium
        ) throws {
            let scene = try Scene(on: medium)
            let tailer = try scene.tailer(["--read-only"])
            let appender = try scene.appender(0, ["--mix", "mixed", "--pace", "1000"])
            #expect(try appender.process.line(within: 20) == "ready")
            var gaps: [Double] = []
            for _ in 0..<scaled(30) {
                scene.board[.go] = 0
                scene.board[.signal] = 0
                let entry = scene.entry(for: 10)
                let arguments = ["--entry", "\(entry)", "--writer", "10", "--signal", "\(SIGKILL)", "--hold", "300000"]
                let victim = try scene.worker("append-and-stop", arguments)
                #expect(try victim.line(within: 20) == "ready")
                scene.board[.go] = 1
                #expect(try victim.wait(upTo: 20) == .killed(SIGKILL))
                let death = scene.board[.deathTime]
                let before = scene.acknowledged(appender)
                try scene.wait(for: "the next appends") {
                    scene.acknowledged(appender) > before + 10 || appender.process.hasEnded
                }
                let next = scene.board[appender.entries[0], .firstBehindDeath]
                #expect(next > death)
                gaps.append(Double(next - death) / 1e6)
            }
            scene.board[.stop] = 1
            #expect(try appender.process.wait(upTo: 20) == .exited(0), "\(appender.process.lastLine)")
            gaps.sort()
            print(
                "from a writer's death to the next append: median \(gaps[gaps.count / 2]) ms, "
                    + "largest \(gaps[gaps.count - 1]) ms, \(gaps.filter { $0 < 1 }.count) of \(gaps.count) below 1 ms"
            )
            #expect(gaps[gaps.count / 2] < 20)
            #expect(gaps[gaps.count - 1] < 1000)
            let log = try Log.open(at: scene.log)
            let records = try log.nextSequence
            try log.close()
            let report = try scene.finish([tailer], records: records)[0]
            try scene.check(report)
            #expect(report.runs[10] == nil, "no record of a writer that died before it committed")
        }
    }
}
