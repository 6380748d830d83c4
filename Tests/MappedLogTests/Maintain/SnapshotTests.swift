import Foundation
import Glibc
import MappedLog
import Synchronization
import SystemPackage
import Testing

/// Copies of a log, made while it lives.
@Suite struct SnapshotTests {
    private func names(_ path: FilePath) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path.string).sorted()
    }

    @Test(arguments: [nil, CompactionOptions()])
    func `a copy of a closed log holds the same`(compaction: CompactionOptions?) throws {
        try withTemporaryDirectory { directory in
            let log = try Sample(in: directory)
            let copy = directory.appending("copy")
            let before = try log.image()
            let report = try Maintenance.snapshot(at: log.path, to: copy, compaction: compaction)
            #expect(try log.image() == before)
            #expect(report.nextSequence == UInt64(log.records.count))
            #expect(report.segments > 3)
            #expect(report.compactedSegments == (compaction == nil ? 0 : report.segments - 1))
            #expect(Sight.of(copy).records == log.records)
            #expect(try Maintenance.verify(at: copy).isWhole)
            #expect(try !names(copy).contains { $0.hasPrefix(".tmp-") || $0 == "lost+found" })
            let open = try Log.open(at: copy)
            #expect(open.recovery?.endPosition == report.endPosition)
            #expect(try open.append(payload(1, 10)).sequence == UInt64(log.records.count))
            #expect(open.id == (try Log.openReadOnly(at: log.path)).id)
            try open.close()
            #expect(try Maintenance.verify(at: copy).isWhole)
        }
    }

    @Test(arguments: ["sub", "live/sub", "tailers/sub", "new/sub", ""])
    func `a copy into the log itself is refused`(place: String) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try Sample(in: directory)
            let before = try LogImage(of: log.path)
            let target = place.isEmpty ? log.path : log.path.appending(place)
            #expect(code { _ = try Maintenance.snapshot(at: log.path, to: target) } == .invalidOptions)
            let link = directory.appending("link")
            try FileManager.default.createSymbolicLink(atPath: link.string, withDestinationPath: log.path.string)
            let behind = place.isEmpty ? link : link.appending(place)
            #expect(code { _ = try Maintenance.snapshot(at: log.path, to: behind) } == .invalidOptions)
            #expect(try LogImage(of: log.path) == before)
        }
    }

    @Test func `a copy of a compacted and shortened log keeps its form, tailers and options`() throws {
        try withTemporaryDirectory { directory in
            let log = try Sample(in: directory)
            _ = try Compactor.compact(at: log.path)
            _ = try Maintenance.retain(at: log.path, rule: Retention(segments: 3))
            let open = try Log.open(at: log.path)
            try open.resetNamedTailer("audit", to: .end)
            _ = try open.tailer(named: "audit", protecting: true)
            let copy = directory.appending("copy")
            // An empty directory is as good as none.
            try FileManager.default.createDirectory(atPath: copy.string, withIntermediateDirectories: true)
            let report = try open.snapshot(to: copy)
            #expect(report.compactedSegments == 2 && report.segments == 3)
            #expect(Sight.of(copy).records == Sight.of(log.path).records)
            #expect(try Log.openReadOnly(at: copy).namedTailers() == open.namedTailers())
            #expect(try readFile(copy.appending("options.json")) == readFile(log.path.appending("options.json")))
            #expect(try !names(copy).contains("live"))
        }
    }

    @Test func `a copy made beside writers is a prefix, whole, and can be written`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let options = LogOptions(segmentSize: 128 << 10, durability: .interval(.milliseconds(1)))
            let log = try Log.create(at: path, options: options)
            let isOver = Atomic<Bool>(false)
            let writers = (0..<2).map { writer in
                Thread.run {
                    var number = 0
                    while !isOver.load(ordering: .relaxed) {
                        if number % 7 == 3 {
                            _ = try? log.append(batch: (0..<5).map { payload(number + $0, 50) })
                        } else {
                            _ = try? log.append(payload(number, number % 900))
                        }
                        number += 1
                        usleep(UInt32(1_000 + 500 * writer))
                    }
                }
            }
            var copies: [(FilePath, SnapshotReport)] = []
            for number in 0..<5 {
                usleep(5_000)
                let copy = directory.appending("copy-\(number)")
                let before = try log.nextSequence
                let report = try log.snapshot(to: copy, compaction: number % 5 == 4 ? CompactionOptions() : nil)
                #expect(report.nextSequence >= before)
                copies.append((copy, report))
            }
            isOver.store(true, ordering: .relaxed)
            for writer in writers { writer.join() }
            let all = Sight.of(log).records
            for (copy, report) in copies {
                let verified = try Maintenance.verify(at: copy)
                #expect(verified.isWhole && verified.notes.isEmpty)
                let sight = Sight.of(copy)
                #expect(sight.error == nil && sight.records.count == Int(report.nextSequence))
                #expect(sight.records == Array(all.prefix(sight.records.count)))
            }
            let (last, report) = try #require(copies.last)
            let open = try Log.open(at: last)
            #expect(try open.append(payload(0, 10)).sequence == report.nextSequence)
            try open.close()
            #expect(try Maintenance.verify(at: last).isWhole)
            try log.close()
        }
    }

    @Test func `a named tailer beyond the end of the copy is moved back to it`() throws {
        try withTemporaryDirectory { directory in
            // Nobody recovers it: its tail is torn, and the tailer stands behind.
            let log = try Sample(in: directory)
            let open = try Log.open(at: log.path)
            try open.resetNamedTailer("ahead", to: .end)
            try open.close()
            let last = try #require(log.records.last)
            try log.flip(last.position + 30)
            try FileManager.default.removeItem(atPath: log.path.appending("live").string)
            let copy = directory.appending("copy")
            let report = try? Maintenance.snapshot(at: log.path, to: copy)
            // Where the last record was known durable it is damage instead.
            guard let report else { return }
            #expect(report.nextSequence == last.sequence)
            #expect(try Log.openReadOnly(at: copy).namedTailers().map(\.position) == [report.endPosition])
        }
    }

    @Test func `a damaged log gives no copy, and a place that is taken is left alone`() throws {
        try withTemporaryDirectory { directory in
            let log = try Sample(in: directory)
            let taken = directory.appending("taken")
            try FileManager.default.createDirectory(atPath: taken.string, withIntermediateDirectories: true)
            try writeFile(taken.appending("file"), [1])
            #expect(code { _ = try Maintenance.snapshot(at: log.path, to: taken) } == .notEmpty)
            #expect(try names(taken) == ["file"])
            try log.flip(log.records[10].position + 30)
            let copy = directory.appending("copy")
            let error = failure { _ = try Maintenance.snapshot(at: log.path, to: copy) }
            #expect(error?.code == .damaged)
            #expect(error?.position?.rawValue == log.records[10].position)
            #expect(!FileManager.default.fileExists(atPath: copy.string))
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root, to mount a small file system"))
    func `a full disk leaves no log`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try Sample(in: directory)
            let disk = directory.appending("disk")
            try FileManager.default.createDirectory(atPath: disk.string, withIntermediateDirectories: true)
            guard try output(of: "mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", disk.string]) != nil else {
                return
            }
            defer { _ = try? output(of: "umount", ["-l", disk.string]) }
            #expect(code { _ = try Maintenance.snapshot(at: log.path, to: disk.appending("copy")) } == .diskFull)
            #expect(try names(disk).isEmpty)
            #expect(code { _ = try Maintenance.snapshot(at: log.path, to: disk) } == .diskFull)
            #expect(try names(disk).isEmpty)
        }
    }
}
