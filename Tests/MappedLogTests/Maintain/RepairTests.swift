import Foundation
import MappedLog
import SystemPackage
import Testing

@Suite struct RepairTests {
    @Test func `a whole log stays as it is`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let before = try sample.image()
            let report = try Maintenance.repair(at: sample.path)
            #expect(report.mended == [] && report.skippedRanges == [] && report.kept == [])
            #expect(try sample.changes(since: before) == [])
        }
    }

    @Test(arguments: Harm.all)
    func `repair keeps everything but what is damaged`(harm: Harm) throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            try harm.apply(sample)
            let report = try Maintenance.repair(at: sample.path)
            try check(sample, lost: harm.lost(sample), report)
        }
    }

    @Test(arguments: 0..<12)
    func `repair mends several damages at once`(seed: Int) throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let first = Harm.all[(seed * 5 + 1) % Harm.all.count]
            // Two in one segment may hide each other's sequence; these are in two.
            try first.apply(sample)
            let other = sample.records.last {
                sample.base(of: $0.position) == 2 * Harm.second && $0.payload.count == 700
            }!
            try sample.flip(other.position + 200)
            let report = try Maintenance.repair(at: sample.path)
            try check(sample, lost: first.lost(sample).union([other.sequence]), report)
        }
    }

    @Test func `no sequence is used twice where all segments with records are gone`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 65536))
            for number in 0..<500 { try log.append([UInt8(number % 256)]) }
            let next = path.appending("0000000000010000.mlog")
            while !FileManager.default.fileExists(atPath: next.string) { usleep(1000) }
            try log.close()
            try FileManager.default.removeItem(atPath: path.appending("0000000000000000.mlog").string)
            #expect(throws: LogError.self) { try Log.open(at: path) }
            _ = try Maintenance.repair(at: path)
            let again = try Log.open(at: path)
            #expect(try again.append([7]).sequence == 500)
            try again.close()
        }
    }

    private func check(_ sample: Sample, lost: Set<UInt64>, _ report: RepairReport) throws {
        #expect(!report.mended.isEmpty)
        #expect(report.unmended == [])
        #expect(report.skippedRecords == UInt64(lost.count))
        for kept in report.kept { #expect(try !readFile(FilePath(kept)).isEmpty || kept.contains("lost+found")) }
        let verified = try Maintenance.verify(at: sample.path)
        #expect(verified.findings == [])
        #expect(verified.notes.filter { $0.kind != .lost } == [])

        let sight = Sight.of(sample.path)
        #expect(sight.error == nil)
        #expect(sight.records == sample.records.filter { !lost.contains($0.sequence) })
        let told = sight.gone.reduce(into: Set<UInt64>()) { $0.formUnion($1.sequences ?? 0..<0) }
        #expect(told == lost)

        let image = try sample.image()
        let again = try Maintenance.repair(at: sample.path)
        #expect(again.mended == [] && again.skippedRanges == [])
        #expect(try sample.changes(since: image) == [])

        let log = try Log.open(at: sample.path)
        let appended = try log.append(Array("more".utf8))
        #expect(appended.sequence == UInt64(sample.records.count))
        try log.close()
        #expect(try Maintenance.verify(at: sample.path).findings == [])
    }

    @Test func `a log open for writing is not repaired`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let log = try Log.open(at: sample.path)
            #expect(code { _ = try Maintenance.repair(at: sample.path) } == .writersAlive)
            #expect(try Maintenance.recover(at: sample.path).writersAlive)
            try log.close()
            #expect(try Maintenance.recover(at: sample.path).cleanClose)
        }
    }

    @Test func `bad options are made anew from the segments`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let id = try Log.openReadOnly(at: sample.path).id
            try writeFile(sample.path.appending("options.json"), Array("{}".utf8))
            let report = try Maintenance.repair(at: sample.path)
            #expect(report.mended.map(\.kind) == [.options])
            #expect(report.kept.count == 1)
            #expect(try Log.openReadOnly(at: sample.path).id == id)
            #expect(Sight.of(sample.path).records == sample.records)
        }
    }

    @Test func `members of options that this version doesn't know outlive a repair`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let file = sample.path.appending("options.json")
            var members = try #require(
                try JSONSerialization.jsonObject(with: Data(try readFile(file))) as? [String: Any]
            )
            let unknown: [String: Any] = [
                "colour": "blue", "nested": ["list": [1, 2.5, true, NSNull()], "large": UInt64.max],
            ]
            members.merge(unknown) { $1 }
            members["durability"] = 7
            try writeFile(file, Array(try JSONSerialization.data(withJSONObject: members)))
            #expect(try Maintenance.repair(at: sample.path).mended.map(\.kind) == [.options])
            let mended = try #require(
                try JSONSerialization.jsonObject(with: Data(try readFile(file))) as? NSDictionary
            )
            for (name, value) in unknown { #expect(mended[name] as? NSObject == value as? NSObject, "\(name)") }
            #expect(mended["durability"] is String)
            #expect(Sight.of(sample.path).records == sample.records)
        }
    }

    @Test func `a named tailer inside a damaged range is told once, and goes on`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let log = try Log.open(at: sample.path)
            try log.resetNamedTailer("worker", to: .sequence(350))
            try log.close()
            let base = sample.base(of: sample.records[350].position)
            try FileManager.default.removeItem(atPath: sample.file(base).string)
            let report = try Maintenance.repair(at: sample.path)
            #expect(report.movedTailers == ["worker"])
            let again = try Log.open(at: sample.path)
            var tailer = try again.tailer(named: "worker")
            #expect(code { _ = try tailer.tailer.nextSeen() } == .recordsGone)
            let next = sample.records.first { $0.position > base + Harm.second }
            #expect(try tailer.tailer.nextSeen() == next)
        }
    }

    @Test(arguments: Vector.all.filter { $0.expected.error != nil })
    func `a damaged vector is repaired, and one of a newer version refused`(vector: Vector) throws {
        try withTemporaryDirectory { directory in
            let copy = directory.appending("log")
            try copyDirectory(vector.path, to: copy)
            let refused: Set<LogError.Code> = [.unsupportedVersion, .unsupportedFeature, .unsupportedSegment]
            let failure = failure { _ = try Maintenance.repair(at: copy) }
            if refused.contains(LogError.Code(rawValue: vector.expected.error!.code)) {
                #expect(failure.map { refused.contains($0.code) } == true)
                #expect(try LogImage(of: copy).withoutLive == LogImage(of: vector.path))
                return
            }
            #expect(failure == nil, "\(failure?.description ?? "")")
            #expect(try Maintenance.verify(at: copy).findings == [])
            let log = try Log.open(at: copy)
            try log.append([1, 2, 3])
            #expect(Sight.of(log).error == nil)
        }
    }
}
