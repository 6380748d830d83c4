import Foundation
import Glibc
import MappedLog
import SystemPackage
import Testing
import _CMappedLog

/// Compacting, reading what is compacted, and restoring it.
@Suite struct CompactionTests {
    struct Form: Sendable, CustomTestStringConvertible {
        let segmentSize: UInt64
        let blockSize: UInt64
        let level: Int
        let longest: Int
        var testDescription: String { "segments of \(segmentSize), blocks of \(blockSize), level \(level)" }
    }

    static let forms = [
        Form(segmentSize: 64 << 10, blockSize: 64 << 10, level: 1, longest: 20_000),
        Form(segmentSize: 64 << 10, blockSize: 4 << 20, level: 12, longest: 20_000),
        Form(segmentSize: 1 << 20, blockSize: 64 << 10, level: 3, longest: 400_000),
        Form(segmentSize: 1 << 20, blockSize: 256 << 10, level: 9, longest: 400_000),
        Form(segmentSize: 832 << 10, blockSize: 256 << 10, level: 2, longest: 400_000),
    ]

    private func make(_ form: Form, _ directory: FilePath) throws -> CompactedLog {
        try CompactedLog(
            at: directory.appending("log"),
            segmentSize: form.segmentSize,
            sizes: CompactedLog.sizes(form.segmentSize > 64 << 10 ? 1200 : 900, upTo: form.longest)
        )
    }

    @Test(arguments: forms)
    func `the lz4 program restores each segment byte for byte, and so does restore`(form: Form) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(form, directory)
            let before = try LogImage(of: log.path).withoutLive
            let options = CompactionOptions(level: form.level, blockSize: form.blockSize, jobs: 3)
            let report = try Compactor.compact(at: log.path, options: options)
            #expect(report.segments.count >= 3)
            #expect(try log.files(".mlog.lz4").count == report.segments.count)
            for name in try log.files(".mlog.lz4") {
                let restored = try output(of: "lz4", ["-d", "-c", log.path.appending(name).string])
                #expect(restored == before.files[String(name.dropLast(4))])
                #expect(!FileManager.default.fileExists(atPath: log.path.appending(String(name.dropLast(4))).string))
            }
            #expect(try Compactor.compact(at: log.path, options: options).segments.isEmpty)
            #expect(try Maintenance.verify(at: log.path).isWhole)

            let restored = try Compactor.restore(at: log.path)
            #expect(restored.segments.map(\.base) == report.segments.map(\.base))
            #expect(try LogImage(of: log.path).withoutLive == before)
        }
    }

    @Test(arguments: forms)
    func `a log of both forms reads as it did when it was raw`(form: Form) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(form, directory)
            let options = CompactionOptions(level: form.level, blockSize: form.blockSize)
            let report = try Compactor.compact(at: log.path, options: options)
            // Every third is raw again.
            let raw = report.segments.enumerated().filter { $0.offset % 3 == 1 }.map { $0.element.base }
            _ = try Compactor.restore(at: log.path, segments: raw.map { Position(rawValue: $0) })

            let open = try Log.openReadOnly(at: log.path)
            let sight = Sight.of(open)
            #expect(sight.error == nil)
            #expect(sight.records == log.records)
            #expect(Sight.of(open, visibility: .durable).records == log.records)

            var unchecked = try open.tailer(checksums: false)
            for record in log.records { #expect(try unchecked.nextSeen() == record) }

            var tailer = try open.tailer(from: .end)
            for record in log.records.reversed() { #expect(try tailer.previousSeen() == record) }
            #expect(try tailer.previousSeen() == nil)
            // To and fro, over blocks and segments.
            for record in log.records.prefix(500) { #expect(try tailer.nextSeen() == record) }
            for record in log.records.prefix(500).reversed() { #expect(try tailer.previousSeen() == record) }

            for (number, record) in log.records.enumerated() where number % 7 == 0 {
                try tailer.seek(to: .sequence(record.sequence))
                #expect(try tailer.nextSeen() == record)
                if number > 0 {
                    _ = try tailer.previousSeen()
                    #expect(try tailer.previousSeen() == log.records[number - 1])
                }
            }
            for record in log.records where record.sequence % 11 == 0 {
                try tailer.seek(to: .position(Position(rawValue: record.position)))
                #expect(try tailer.nextSeen() == record)
                let time = record.timestamp
                try tailer.seek(to: .time(Timestamp(nanosecondsSince1970: time)))
                #expect(try tailer.nextSeen() == log.records.first { $0.timestamp >= time })
            }
        }
    }

    @Test func `a log with compacted segments is written to, recovered and verified as any other`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(Self.forms[0], directory)
            _ = try Compactor.compact(at: log.path)
            // Nothing tells how it was closed: known durable is what the files prove.
            try FileManager.default.removeItem(atPath: log.path.appending("live/control").string)
            #expect(Sight.of(log.path).records == log.records)
            #expect(try Maintenance.verify(at: log.path).isWhole)
            let open = try Log.open(at: log.path)
            _ = try open.append(payload(1, 100))
            try open.close()
            let sight = Sight.of(log.path)
            #expect(sight.records.dropLast() == log.records[...])
            #expect(try Maintenance.verify(at: log.path).isWhole)
            #expect(try Log.openReadOnly(at: log.path).info().segments.contains { $0.state == "compacted" })
        }
    }

    /// Frames that state the log's first position, and frames that state a position inside of what is compacted.
    @Test(arguments: [false, true])
    func `a log whose frames know less than its compacted segments is recovered`(syncsBetween: Bool) throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            for number in 0..<3 {
                try log.append(payload(number, 40_000))
                if number == 0 && syncsBetween { try log.sync() }
            }
            try log.sync()
            let raw = try LogImage(of: path).withoutLive
            _ = try Compactor.compact(at: path)
            // Power went when the first segment had its new form, and the second not yet.
            var image = try LogImage(of: path).withoutLive
            let second = "0000000000010000.mlog"
            image.files[second] = raw.files[second]
            image.files[second + ".lz4"] = nil
            #expect(image.files["0000000000000000.mlog"] == nil)
            try image.withFiles { path in
                #expect(try Log.openReadOnly(at: path).durablePosition.rawValue == 65_536 + 4096)
                let log = try Log.open(at: path)
                // Of an optional and a sum the compiler makes two `AnyHashable`, and reads a byte too many (Swift 6.3.1).
                let durable = try #require(log.recovery).durablePosition
                #expect(durable == 65_536 + 4096)
                #expect(Sight.of(log).records.map(\.payload) == (0..<3).map { payload($0, 40_000) })
            }
        }
    }

    @Test func `tailers go on in what they have mapped, and kept records stay`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(Self.forms[2], directory)
            let open = try Log.open(at: log.path)
            var inside = try open.tailer()
            for record in log.records.prefix(50) { #expect(try inside.nextSeen() == record) }
            let report = try Compactor.compact(at: log.path)
            #expect(report.segments.first?.base == 0)
            for record in log.records.dropFirst(50) { #expect(try inside.nextSeen() == record) }

            var kept: [RetainedRecord] = []
            var tailer = try open.tailer()
            while let record = try tailer.retainedNext() { kept.append(record) }
            #expect(kept.map { SeenRecord($0) } == log.records)
            _ = try open.append(payload(7, 9))
            #expect(try tailer.nextSeen()?.payload == payload(7, 9))
            try open.close()
        }
    }

    @Test func `what is kept, too young or not durable stays raw`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(Self.forms[0], directory)
            var options = CompactionOptions(isDryRun: true)
            let sealed = try Compactor.compact(at: log.path, options: options).segments.count
            let raw = try log.files(".mlog").count
            #expect(raw - sealed == 1 || raw - sealed == 2)
            options.keep = 2
            #expect(try Compactor.compact(at: log.path, options: options).segments.count == sealed - 2)
            options.keep = sealed + 5
            #expect(try Compactor.compact(at: log.path, options: options).segments.isEmpty)
            // The batches' records have the clock's time: they are young.
            options = CompactionOptions(minimumAge: .seconds(3600), isDryRun: true)
            #expect(try Compactor.compact(at: log.path, options: options).segments.isEmpty)
            #expect(try log.files(".mlog.lz4").isEmpty)

            let other = directory.appending("other")
            let open = try Log.create(at: other, options: .small)
            for number in 0..<300 { _ = try open.append(payload(number, 1000)) }
            let compacted = try Compactor.compact(at: other).segments
            // Asked behind it: it rises meanwhile, and never falls.
            let durable = try open.durablePosition.rawValue
            for segment in compacted { #expect(segment.base + 65_536 + 4096 <= durable) }
            try open.close()
        }
    }

    @Test func `wrong options are refused`() throws {
        for options in [
            CompactionOptions(level: 0), CompactionOptions(level: 13), CompactionOptions(blockSize: 100_000),
            CompactionOptions(keep: -1), CompactionOptions(jobs: 0),
        ] {
            #expect(code { _ = try Compactor.compact(at: "/nowhere", options: options) } == .invalidOptions)
        }
    }

    @Test func `a second compactor says that there is one, and leftovers go with the next run`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(Self.forms[0], directory)
            do {
                let lock = try FileDescriptor.open(log.path.appending("live/lock"), .readWrite)
                defer { try? lock.close() }
                #expect(mlog_ofd_lock(lock.rawValue, Int16(F_WRLCK), 2) == 0)
                #expect(code { _ = try Compactor.compact(at: log.path) } == .compacting)
                #expect(code { _ = try Compactor.restore(at: log.path) } == .compacting)
            }
            try writeFile(log.path.appending(".tmp-compact-0123456789abcdef"), [1, 2, 3])
            try writeFile(log.path.appending(".tmp-0123456789abcdef"), [1, 2, 3])
            #expect(try Compactor.compact(at: log.path).removedLeftovers == 1)
            // That one may be a writer's.
            #expect(try log.leftovers == [".tmp-0123456789abcdef"])
        }
    }

    @Test func `of two forms of a segment the raw one counts, and the next run leaves one`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try make(Self.forms[0], directory)
            let raw = try readFile(log.path.appending("0000000000000000.mlog"))
            _ = try Compactor.compact(at: log.path)
            try writeFile(log.path.appending("0000000000000000.mlog"), raw)
            #expect(Sight.of(log.path).records == log.records)
            #expect(try Compactor.compact(at: log.path).segments.isEmpty)
            #expect(!(try log.files(".mlog")).contains("0000000000000000.mlog"))

            // One that isn't equal is kept aside, and made anew.
            try writeFile(log.path.appending("0000000000000000.mlog"), raw)
            try edit(log.path.appending("0000000000000000.mlog.lz4"), at: 400) { $0 ^ 1 }
            #expect(Sight.of(log.path).records == log.records)
            #expect(try Compactor.compact(at: log.path).segments.map(\.base) == [0])
            #expect(Sight.of(log.path).records == log.records)
            let kept = try FileManager.default.contentsOfDirectory(atPath: log.path.appending("lost+found").string)
            #expect(kept == ["0000000000000000.mlog.lz4"])
        }
    }
}
