import Foundation
import MappedLog
import Synchronization
import SystemPackage
import Testing

/// Retention: which segments go, and what tailers are told.
@Suite struct RetentionTests {
    private static let size: UInt64 = 64 << 10

    /// A closed log of ten segments with records, ten seconds from one record to the next.
    private func makeLog(in directory: FilePath, options: LogOptions = .small) throws -> (FilePath, [SeenRecord]) {
        let path = directory.appending("log")
        let log = try Log.create(at: path, options: options)
        let now = Int64(Date().timeIntervalSince1970) * 1_000_000_000
        for number in 0..<140 {
            let time = Timestamp(nanosecondsSince1970: now - Int64(139 - number) * 10_000_000_000)
            try log.append(payload(number, 4000), timestamp: time)
        }
        let records = Sight.of(log).records
        try log.close()
        return (path, records)
    }

    private func files(_ path: FilePath) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path.string).filter { $0.contains(".mlog") }.sorted()
    }

    /// The log begins with that segment, is whole, and holds the same from there on.
    private func expect(_ path: FilePath, from base: UInt64, of records: [SeenRecord]) throws {
        let left = records.filter { $0.position >= base }
        let sight = Sight.of(path)
        #expect(sight.records == left && sight.error == nil && sight.gone.isEmpty)
        #expect(try Maintenance.verify(at: path).isWhole)
        let log = try Log.open(at: path)
        #expect(try log.info().firstSequence == left.first?.sequence)
        let next = try log.append(payload(0, 10))
        #expect(next.sequence == records.count)
        try log.close()
    }

    @Test func `as many segments stay as are wanted, the active one among them`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let before = try files(path)
            let dry = try Maintenance.retain(at: path, rule: Retention(segments: 3), isDryRun: true)
            #expect(dry.isDryRun && dry.removed.map(\.base) == (0..<7).map { $0 * Self.size })
            #expect(try files(path) == before)
            let report = try Maintenance.retain(at: path, rule: Retention(segments: 3))
            #expect(report.removed == dry.removed)
            #expect(report.bytesRemoved == 7 * Self.size)
            #expect(report.protectedBy == nil)
            #expect(report.firstPosition == 7 * Self.size + 4096)
            #expect(report.firstSequence == records.first { $0.position >= 7 * Self.size }?.sequence)
            try expect(path, from: 7 * Self.size, of: records)
            #expect(try Maintenance.retain(at: path, rule: Retention(segments: 4)).removed.isEmpty)
            // The active one and those not durable always stay.
            let all = try Maintenance.retain(at: path, rule: Retention(bytes: 1, segments: 1))
            #expect(all.firstPosition == 9 * Self.size + 4096)
        }
    }

    @Test func `bytes count the files of all segments`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let count = UInt64(try files(path).count)
            #expect(try Maintenance.retain(at: path, rule: Retention(bytes: count * Self.size)).removed.isEmpty)
            let report = try Maintenance.retain(at: path, rule: Retention(bytes: (count - 2) * Self.size + 1))
            #expect(report.removed.map(\.base) == [0, Self.size])
            #expect(try Maintenance.retain(at: path, rule: Retention(bytes: 5 * Self.size)).removed.count > 2)
            #expect(try files(path).count == 5)
            try expect(path, from: (count - 5) * Self.size, of: records)
        }
    }

    @Test func `a segment goes by age once its newest record is older`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            #expect(try Maintenance.retain(at: path, rule: Retention(age: .seconds(3600))).removed.isEmpty)
            let limit = try #require(records.last { $0.position < 4 * Self.size })
            let age = Date().timeIntervalSince1970 - Double(limit.timestamp) / 1e9
            #expect(try Maintenance.retain(at: path, rule: Retention(age: .seconds(age + 5))).removed.count == 3)
            #expect(try Maintenance.retain(at: path, rule: Retention(age: .seconds(age - 5))).removed.count == 1)
            try expect(path, from: 4 * Self.size, of: records)
        }
    }

    @Test func `compacted segments go too, by the bytes they have`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let compacted = try Compactor.compact(at: path).segments
            #expect(compacted.count == 9)
            let total = try files(path).reduce(UInt64(0)) { sum, name in
                sum + UInt64(try readFile(path.appending(name)).count)
            }
            #expect(try Maintenance.retain(at: path, rule: Retention(bytes: total)).removed.isEmpty)
            let report = try Maintenance.retain(at: path, rule: Retention(bytes: total - 1))
            #expect(report.removed.map(\.bytes) == [compacted[0].bytesAfter])
            #expect(try Maintenance.retain(at: path, rule: Retention(segments: 4)).removed.count == 5)
            try expect(path, from: 6 * Self.size, of: records)
        }
    }

    @Test func `what a protecting tailer has yet to read stays`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let log = try Log.open(at: path)
            let place = try #require(records.first { $0.position > 3 * Self.size + 20_000 })
            do {
                let tailer = try log.tailer(named: "audit", startingAt: .sequence(place.sequence), protecting: true)
                let isProtecting = tailer.isProtecting
                #expect(isProtecting)
            }
            _ = try log.tailer(named: "other")
            #expect(try log.namedTailers().map(\.protecting) == [true, false])
            #expect(try log.info().tailers.map(\.protecting) == [true, false])
            let report = try log.retain(Retention(segments: 1))
            #expect(report.protectedBy == "audit")
            #expect(report.removed.count == 3)
            // It stays so, whoever opens or moves it.
            let still = try log.tailer(named: "audit").isProtecting
            #expect(still)
            try log.resetNamedTailer("audit", to: .sequence(place.sequence + 20))
            #expect(try log.namedTailers()[0].protecting)
            #expect(try log.retain(Retention(segments: 1)).protectedBy == "audit")
            let no = try log.tailer(named: "audit", protecting: false).isProtecting
            #expect(!no)
            #expect(try log.retain(Retention(segments: 1)).protectedBy == nil)
            try log.close()
            try expect(path, from: 9 * Self.size, of: records)
        }
    }

    @Test func `a tailer is told once which records are gone, and goes on`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let log = try Log.open(at: path)
            var tailer = try log.tailer()
            for record in records.prefix(5) { #expect(try tailer.nextSeen() == record) }
            let report = try log.retain(Retention(segments: 4))
            let first = Int(report.firstSequence)
            let own = records.firstIndex { $0.position >= Self.size } ?? 0
            // What it has mapped it reads to its end.
            for record in records[5..<own] { #expect(try tailer.nextSeen() == record) }
            let error = failure { _ = try tailer.next() }
            #expect(error?.code == .recordsGone)
            #expect(error?.goneSequences == UInt64(own)..<UInt64(first))
            for record in records[first...] { #expect(try tailer.nextSeen() == record) }
            #expect(try tailer.nextSeen() == nil)
            while let record = try tailer.previousSeen() { #expect(record == records[Int(record.sequence)]) }
            #expect(tailer.sequence == UInt64(first))
            let before = failure { _ = try log.tailer(from: .sequence(3)) }
            #expect(before?.code == .recordsGone && before?.goneSequences == 3..<UInt64(first))
        }
    }

    @Test func `a named tailer whose place is gone is told so when it looks, and goes on`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let log = try Log.open(at: path)
            try log.resetNamedTailer("late", to: .sequence(7))
            let first = Int(try log.retain(Retention(segments: 4)).firstSequence)
            for round in 0..<2 {
                var tailer = try log.tailer(named: "late")
                // Who only looks where it stands, or commits at once, has lost nothing.
                let sequence = tailer.tailer.sequence
                #expect(sequence == 7)
                try tailer.commit()
                let error = failure { _ = round == 0 ? try tailer.wait(upTo: .zero) : try tailer.next() != nil }
                #expect(error?.code == .recordsGone && error?.goneSequences == 7..<UInt64(first))
                #expect(try tailer.tailer.nextSeen() == records[first])
                if round == 1 { try tailer.commit() }
            }
            var again = try log.tailer(named: "late")
            #expect(try again.tailer.nextSeen() == records[first + 1])
        }
    }

    @Test func `what keeps the log's own rule from removing more is told`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let options = LogOptions(segmentSize: 64 << 10, durability: .never, retention: Retention(segments: 2))
            let log = try Log.create(at: path, options: options)
            let name = path.appending("tailers").appending("foreign")
            try writeFile(name, Array("no tailer at all".utf8))
            for number in 0..<2_000 { _ = try log.append(payload(number, 400)) }
            try log.sync()
            #expect(try log.info().retentionObstacle?.contains(name.string) == true)
            #expect(try log.info().segments.count > 5)
            try removeFile(name)
            _ = try log.tailer(named: "audit", protecting: true)
            #expect(try log.info().retentionObstacle?.contains("audit") == true)
            try log.removeNamedTailer("audit")
            // The log's own thread may be at it.
            while code({ _ = try log.retain(Retention(segments: 2)) }) == .compacting { usleep(1000) }
            #expect(try log.info().retentionObstacle == nil)
            try log.close()
        }
    }

    @Test func `wrong rules are refused`() throws {
        try withTemporaryDirectory { directory in
            let (path, _) = try makeLog(in: directory)
            let rules = [Retention(), Retention(bytes: 0), Retention(age: .zero), Retention(segments: 0)]
            for rule in rules {
                #expect(code { _ = try Maintenance.retain(at: path, rule: rule) } == .invalidOptions)
                let options = LogOptions(retention: rule)
                #expect(
                    code { _ = try Log.create(at: directory.appending("new"), options: options) } == .invalidOptions
                )
            }
        }
    }

    @Test func `the log's own rule is kept with it, and holds beside a writer and a follower`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let rule = Retention(bytes: 1 << 30, age: .seconds(86_400), segments: 3)
            let options = LogOptions(
                segmentSize: 64 << 10,
                durability: .interval(.milliseconds(1)),
                retention: rule
            )
            let log = try Log.create(at: path, options: options)
            #expect(try LogOptions(ofLogAt: path) == options)
            let count: UInt64 = 20_000
            let seen = Mutex((records: UInt64(0), gone: UInt64(0), isRight: true))
            let follower = Thread.run {
                guard let log = try? Log.openReadOnly(at: path), var tailer = try? log.tailer() else { return }
                var next: UInt64 = 0
                while next < count {
                    do throws(LogError) {
                        guard let record = try tailer.nextSeen() else {
                            _ = try tailer.wait(upTo: .milliseconds(100))
                            continue
                        }
                        let isRight = record.sequence == next && record.payload == payload(Int(next), 400)
                        next = record.sequence + 1
                        seen.withLock { $0 = ($0.records + 1, $0.gone, $0.isRight && isRight) }
                        // So slow now and then that it falls behind.
                        if next % 3000 == 0 { usleep(100_000) }
                    } catch {
                        guard error.code == .recordsGone, let gone = error.goneSequences, gone.lowerBound == next else {
                            return seen.withLock { $0.isRight = false }
                        }
                        seen.withLock { $0.gone += UInt64(gone.count) }
                        next = gone.upperBound
                    }
                }
            }
            for number in 0..<Int(count) {
                try log.append(payload(number, 400))
                if number % 100 == 0 { usleep(1000) }
            }
            follower.join()
            let result = seen.withLock { $0 }
            #expect(result.isRight)
            #expect(result.records + result.gone == count)
            let deadline = ContinuousClock.now + .seconds(20)
            while try files(path).count > 4, ContinuousClock.now < deadline { usleep(10_000) }
            #expect(try files(path).count <= 4)
            try log.close()
            #expect(try Maintenance.verify(at: path).isWhole)
        }
    }

    @Test func `the log's own rule is enforced at open`() throws {
        try withTemporaryDirectory { directory in
            let (path, records) = try makeLog(in: directory)
            let settings = path.appending("options.json")
            var text = String(decoding: try readFile(settings), as: UTF8.self)
            text.replace("{", with: "{\"retention\": {\"segments\": 2, \"later\": 1},", maxReplacements: 1)
            try writeFile(settings, Array(text.utf8))
            let log = try Log.open(at: path)
            let deadline = ContinuousClock.now + .seconds(20)
            while try log.info().firstPosition < 8 * Self.size, ContinuousClock.now < deadline { usleep(10_000) }
            try log.close()
            try expect(path, from: 8 * Self.size, of: records)
            // What can't be understood removes nothing.
            text.replace("\"segments\": 2", with: "\"segments\": 0")
            try writeFile(settings, Array(text.utf8))
            #expect(try LogOptions(ofLogAt: path).retention == nil)
        }
    }
}
