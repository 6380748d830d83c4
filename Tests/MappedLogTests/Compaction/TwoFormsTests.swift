import Foundation
import MappedLog
import SystemPackage
import Testing

/// Segments that have both forms, as a kill in the middle of a swap leaves them, or whose one form is damaged.
@Suite struct TwoFormsTests {
    private func make(_ directory: FilePath) throws -> (log: CompactedLog, raw: FilePath, bytes: [UInt8]) {
        let sizes = CompactedLog.sizes(900, upTo: 20_000)
        let log = try CompactedLog(at: directory.appending("log"), segmentSize: 64 << 10, sizes: sizes)
        let name = try log.files(".mlog")[1]
        let raw = log.path.appending(name)
        return (log, raw, try readFile(raw))
    }

    private func rot(_ file: FilePath) throws {
        try edit(file, at: 20_000) { $0 ^ 0xFF }
    }

    @Test(arguments: ["compact", "restore", "repair"])
    func `a damaged raw form goes to lost+found, and the whole compacted one counts`(work: String) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let (log, raw, bytes) = try make(directory)
            _ = try Compactor.compact(at: log.path)
            try writeFile(raw, bytes)
            try rot(raw)
            #expect(try !Maintenance.verify(at: log.path).isWhole)
            switch work {
            case "compact": #expect(try Compactor.compact(at: log.path).kept.count == 1)
            case "restore": #expect(try Compactor.restore(at: log.path).kept.count == 1)
            default:
                #expect(try Maintenance.repair(at: log.path).kept.count == 1)
                // What was whole keeps its form.
                #expect(try log.files(".mlog.lz4").count >= 3)
            }
            #expect(try Maintenance.verify(at: log.path).isWhole)
            #expect(Sight.of(log.path).records == log.records)
        }
    }

    @Test func `a damaged compacted form goes to lost+found beside a whole raw one`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let (log, raw, bytes) = try make(directory)
            _ = try Compactor.compact(at: log.path)
            try edit(FilePath(raw.string + ".lz4"), at: 5_000) { $0 ^ 1 }
            try writeFile(raw, bytes)
            #expect(try Compactor.compact(at: log.path).kept.count == 1)
            #expect(try Maintenance.verify(at: log.path).isWhole)
            #expect(Sight.of(log.path).records == log.records)
        }
    }

    @Test func `where both are damaged both are left, and that is said`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let (log, raw, bytes) = try make(directory)
            _ = try Compactor.compact(at: log.path)
            try writeFile(raw, bytes)
            try rot(raw)
            try edit(FilePath(raw.string + ".lz4"), at: 5_000) { $0 ^ 1 }
            let before = try LogImage(of: log.path).withoutLive
            #expect(try Compactor.compact(at: log.path).damaged.map(\.file) == [raw.string])
            #expect(try LogImage(of: log.path).withoutLive == before)
            let report = try Compactor.restore(at: log.path, segments: [Position(rawValue: 64 << 10)])
            #expect(report.damaged.map(\.file) == [raw.string])
            #expect(try LogImage(of: log.path).withoutLive == before)
        }
    }

    @Test func `a damaged raw segment stays raw, is named, and stops no other`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let (log, raw, _) = try make(directory)
            let sealed = try Compactor.compact(at: log.path, options: CompactionOptions(isDryRun: true)).segments.count
            try rot(raw)
            let before = try readFile(raw)
            let report = try Compactor.compact(at: log.path)
            #expect(report.damaged.count == 1 && report.damaged[0].file == raw.string)
            #expect(report.damaged[0].position.map { $0 >= 64 << 10 && $0 < 128 << 10 } == true)
            #expect(report.segments.count == sealed - 1)
            #expect(try readFile(raw) == before)
        }
    }

    @Test func `a segment whose header is damaged hides no record of another`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let (log, raw, _) = try make(directory)
            _ = try Compactor.compact(at: log.path)
            let behind = try #require(log.records.first { $0.position >= 128 << 10 })
            let before = log.records.filter { $0.position < 64 << 10 }
            try edit(FilePath(raw.string + ".lz4"), at: 50) { $0 ^ 1 }
            let reader = try Log.openReadOnly(at: log.path)
            var tailer = try reader.tailer(from: .sequence(0))
            for record in before { #expect(try tailer.nextSeen() == record) }
            let error = failure { _ = try tailer.nextSeen() }
            #expect(error?.file?.string == raw.string + ".lz4")
            for start in [TailStart.sequence(behind.sequence), .position(Position(rawValue: behind.position))] {
                try tailer.seek(to: start)
                #expect(try tailer.nextSeen() == behind)
            }
            for record in [before[0], before[before.count - 1]] {
                try tailer.seek(to: .sequence(record.sequence))
                #expect(try tailer.nextSeen() == record)
            }
            try tailer.seek(to: .time(Timestamp(nanosecondsSince1970: .min)))
            #expect(try tailer.nextSeen() == log.records[0])
            try tailer.seek(to: .end)
            #expect(try tailer.previousSeen() == log.records.last)
        }
    }
}
