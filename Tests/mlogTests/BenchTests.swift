import Foundation
import FoundationXML
import Testing

/// That `mlog bench` measures what it says it does; how long it takes is nobody's business here.
@Suite(.timeLimit(.minutes(10))) struct BenchTests {
    private struct Line: Decodable {
        let what: String
        let medium: String
        let mode: String
        let record_bytes: Int
        let ns_per_record: Double?
        let p50_ns: Double?
        let cpu_wait: Double

        var time: Double? { ns_per_record ?? p50_ns }
    }

    /// Of 4 KiB: two bursts of 2,000 records, and half of a third; and less than one.
    @Test(arguments: [(5000, 2000), (500, 300)])
    func `of a burst behind a pause the second half is counted`(records: Int, counted: Int) async throws {
        let place = try TemporaryLog()
        let outcome = try await Mlog.shell(
            "$mlog bench append --dir \(place.directory) --records \(records) --record-bytes 4096 --repetitions 1 --json"
        )
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = try outcome.lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(lines.map { $0["mode"] as? String } == ["single.populated", "single.sustained"])
        #expect(lines.map { $0["records"] as? Int } == [counted, records])
        #expect((lines.first?["ns_behind_pause"] as? Double ?? 0) > 0)
        #expect(lines.last?["ns_behind_pause"] == nil)
    }

    @Test(arguments: [
        ("append", 3000, ["mlog.append single.populated", "mlog.append single.sustained"]),
        ("batch", 3000, ["mlog.append_batch batch100.populated", "mlog.append_batch batch100.sustained"]),
        (
            "concurrent", 8000,
            ["process1.single", "processes4.single", "threads4.single", "process1.batch100", "processes4.batch100"]
                .map { "mlog.append_concurrent \($0)" }
        ),
        ("durable", 20, ["mlog.durable every_append"]),
        ("group", 128, ["mlog.group_commit processes2.threads32", "mlog.group_commit process1.thread1"]),
        ("scan", 3000, ["mlog.scan raw", "mlog.scan_compacted block_256KiB"]),
        ("tail", 500, ["spin", "asleep", "asleep_500us"].map { "mlog.tail \($0)" }),
        ("latency", 1000, ["mlog.latency paced_100000_per_s"]),
        ("seek", 3000, ["mlog.seek raw", "mlog.seek compacted.block_256KiB"]),
        ("compact", 3000, ["mlog.compact level_1.block_256KiB", "mlog.compact level_1.block_256KiB.lz4_program"]),
        (
            "open", 10,
            ["segments_2", "segments_2.listing", "segments_10", "segments_10.listing"].map { "mlog.open \($0)" }
        ),
    ])
    func `each kind of work prints a line of JSON for each of its modes, and leaves nothing`(
        _ work: String,
        _ records: Int,
        _ expected: [String]
    ) async throws {
        let place = try TemporaryLog()
        let outcome = try await Mlog.run(
            "bench",
            work,
            "--dir",
            place.directory,
            "--records",
            "\(records)",
            "--record-bytes",
            "64",
            "--seeks",
            "20",
            "--repetitions",
            "2",
            "--segment-size",
            "64KiB",
            "--level",
            "1",
            "--json"
        )
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        let lines = try outcome.lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        #expect(lines.map { "\($0.what) \($0.mode)" } == expected)
        for line in lines {
            #expect(line.medium == "file")
            #expect(line.time ?? 0 > 0)
            #expect((0...1).contains(line.cpu_wait))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory) == [])
    }

    @Test(arguments: [
        ("append", "populated", ["single.populated"]), ("concurrent", "process1.batch", ["process1.batch100"]),
        ("durable", "every", ["every_append"]), ("group", "processes2", ["processes2.threads32"]),
        ("scan", "block", ["block_256KiB"]), ("tail", "spin", ["spin"]), ("latency", "paced", ["paced_100000_per_s"]),
        ("seek", "compacted", ["compacted.block_256KiB"]), ("open", "2.listing", ["segments_2.listing"]),
        ("compact", "level_3", ["level_3.block_256KiB", "level_3.block_256KiB.lz4_program"]),
        ("compact", "3.block_256KiB.lz4", ["level_3.block_256KiB.lz4_program"]), ("durable", "raw", []),
    ])
    func `each kind of work measures only the modes that are asked for`(
        _ work: String,
        _ mode: String,
        _ expected: [String]
    ) async throws {
        let place = try TemporaryLog()
        let options = "--records 1000 --record-bytes 64 --seeks 20 --repetitions 1 --segment-size 64KiB --json"
        let line = "exec $mlog bench \(work) --mode \(mode) --dir \(place.directory) \(options)"
        let outcome = try await Mlog.shell(line)
        #expect(outcome.status == (expected.isEmpty ? 1 : 0))
        let lines = try outcome.lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        #expect(lines.map(\.mode) == expected)
    }

    @Test func `logs in memory are measured, and none is left`() async throws {
        let place = try TemporaryLog()
        for medium in ["shm", "sysv"] {
            for (work, modes) in [
                ("append", ["single.populated", "single.sustained"]), ("tail", ["spin", "asleep", "asleep_500us"]),
                ("latency", ["paced_100000_per_s"]),
            ] {
                let options = "--records 500 --record-bytes 64 --repetitions 1 --segment-size 64KiB --json"
                let line = "exec $mlog bench \(work) --medium \(medium) --dir \(place.directory) \(options)"
                let outcome = try await Mlog.shell(line)
                #expect(outcome.status == 0 && outcome.errors == "")
                let lines = try outcome.lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
                #expect(lines.map(\.mode) == modes)
                #expect(lines.allSatisfy { $0.medium == medium && $0.time ?? 0 > 0 })
            }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm")
        #expect(!left.contains { $0.contains("mlog-bench") })
    }

    @Test func `logs in memory that are kept are named`() async throws {
        let place = try TemporaryLog()
        for medium in ["shm", "sysv"] {
            let options = "--records 100 --repetitions 1 --segment-size 64KiB --keep --json"
            let outcome = try await Mlog.shell(
                "exec $mlog bench latency --medium \(medium) --dir \(place.directory) \(options)"
            )
            #expect(outcome.status == 0 && outcome.lines.count == 1)
            let kept = outcome.errors.split(separator: "\n").map { $0.dropFirst("kept ".count) }
            #expect(kept.count == 1 && kept.allSatisfy { $0.hasPrefix("\(medium):") }, "\(outcome.errors)")
            for log in kept { #expect(try await Mlog.run("destroy", "--yes", String(log)).status == 0) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory) == [])
    }

    @Test func `a person gets a table, and a picture that is well-formed`() async throws {
        let place = try TemporaryLog()
        let picture = place.directory + "/picture.svg"
        let outcome = try await Mlog.run(
            "bench",
            "append",
            "--dir",
            place.directory,
            "--records",
            "500",
            "--repetitions",
            "1",
            "--plot",
            picture
        )
        #expect(outcome.status == 0)
        #expect(outcome.lines.first?.hasPrefix("what         medium  mode") == true)
        #expect(outcome.lines.count == 7)
        let parser = XMLParser(data: try Data(contentsOf: URL(fileURLWithPath: picture)))
        #expect(parser.parse())
    }

    @Test func `a log that seals no segment can't be compacted, and the command says what to do`() async throws {
        let place = try TemporaryLog()
        let outcome = try await Mlog.run("bench", "compact", "--dir", place.directory, "--records", "10")
        #expect(outcome.status == 1)
        #expect(outcome.errors == "mlog: too few records to seal a segment; give more with --records\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory) == [])
    }

    @Test func `a picture that can't be written is told before anything is measured, and so is an unknown mode`()
        async throws
    {
        let place = try TemporaryLog()
        let line = "exec $mlog bench append --records 100 --repetitions 1 --json --dir \(place.directory)"
        let unwritable = try await Mlog.shell("\(line) --plot /dev/null/picture.svg")
        #expect(unwritable.status == 1 && unwritable.lines.isEmpty)
        #expect(unwritable.errors.hasPrefix("mlog: /dev/null/picture.svg: Not a directory"))
        let picture = "\(place.directory)/sideways.svg"
        let unknown = try await Mlog.shell("\(line) --mode sideways --plot \(picture)")
        #expect(unknown.status == 1 && unknown.errors.contains("no mode contains \"sideways\""))
        #expect(!FileManager.default.fileExists(atPath: picture))
        // One that is there stays as it is.
        try "old".write(toFile: picture, atomically: false, encoding: .utf8)
        #expect(try await Mlog.shell("\(line) --mode sideways --plot \(picture)").status == 1)
        #expect(try String(contentsOfFile: picture, encoding: .utf8) == "old")
        // Nobody is waited for, and nothing is made behind a link that leads nowhere.
        let (pipe, link) = ("\(place.directory)/pipe", "\(place.directory)/link")
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        #expect(try await Mlog.shell("\(line) --plot \(pipe)").errors.hasPrefix("mlog: \(pipe): No such device"))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(place.directory)/nowhere")
        #expect(try await Mlog.shell("\(line) --plot \(link)").errors.hasPrefix("mlog: \(link): File exists"))
        let left = try FileManager.default.contentsOfDirectory(atPath: place.directory)
        #expect(left.sorted() == ["link", "pipe", "sideways.svg"])
        // What is no regular file stays what it is.
        let device = try await Mlog.shell("\(line) --record-bytes 64 --plot /dev/null")
        #expect(device.status == 0)
        let attributes = try FileManager.default.attributesOfItem(atPath: "/dev/null")
        #expect(attributes[.type] as? FileAttributeType == .typeCharacterSpecial)
    }

    @Test(arguments: ["scan", "seek", "compact", "open"])
    func `an unknown mode is told before a log is filled for it`(_ work: String) async throws {
        let place = try TemporaryLog()
        // No file may grow, so that none could be filled.
        let line = "ulimit -f 0; exec $mlog bench \(work) --repetitions 1 --mode sideways --dir \(place.directory)"
        let outcome = try await Mlog.shell(line)
        #expect(outcome.status == 1)
        #expect(outcome.errors.hasPrefix("mlog: no mode contains \"sideways\""))
    }

    @Test func `without lz4 nothing is begun; what was measured before a failure is drawn`() async throws {
        let place = try TemporaryLog()
        let options = "--records 1000 --repetitions 1 --json --dir \(place.directory)"
        let without = try await Mlog.shell("PATH=/nowhere; exec $mlog bench all \(options)")
        #expect(without.status == 1 && without.lines.isEmpty)
        #expect(without.errors.hasPrefix("mlog: lz4: No such file"))
        let picture = "\(place.directory)/picture.svg"
        // So few records seal no segment, so that there is nothing to scan.
        let failed = try await Mlog.shell("exec $mlog bench all --record-bytes 64 --plot \(picture) \(options)")
        #expect(failed.status == 1 && failed.errors.contains("too few records to seal a segment"))
        #expect(XMLParser(data: try Data(contentsOf: URL(fileURLWithPath: picture))).parse())
    }

    @Test(arguments: [("/dev/null", "File exists"), ("/dev/null/logs", "Not a directory"), ("/proc", "No such file")])
    func `a directory that can't be made is named, with why`(directory: String, why: String) async throws {
        let outcome = try await Mlog.run("bench", "append", "--dir", directory, "--records", "10")
        #expect(outcome.status == 1)
        #expect(outcome.errors.hasPrefix("mlog: \(directory): \(why)"))
        #expect(outcome.errors.hasSuffix("; give a directory that can be written to with --dir\n"))
    }

    @Test(arguments: [
        ["nothing"], ["--records", "0"], ["--level", "13"], ["--medium", "paper"], ["compact", "--medium", "shm"],
        ["tail", "--records", "100001"], ["scan", "--block-size", "1KiB"], ["seek", "--seeks", "0"],
        ["compact", "--plot", "picture.svg"],
    ])
    func `wrong usage`(_ arguments: [String]) async throws {
        let line = "exec $mlog bench " + arguments.joined(separator: " ")
        #expect(try await Mlog.shell(line).status == 2)
    }
}
