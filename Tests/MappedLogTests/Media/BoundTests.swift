import MappedLogTestSupport
import SystemPackage
import Testing

@testable import MappedLog

/// What a log in memory keeps, and what it does with what it drops.
@Suite(.timeLimit(.minutes(10))) struct BoundTests {
    private func options(segments: Int) -> LogOptions {
        LogOptions(segmentSize: 64 << 10, retention: Retention(segments: segments))
    }

    private func bases(of log: FilePath) throws -> [UInt64] {
        try LogPlace(at: LogLocation(log)).medium.listSegments().map(\.base)
    }

    /// What tells the memory of each segment from that of others.
    private func identities(of log: FilePath) throws -> [UInt64] {
        let medium = try LogPlace(at: LogLocation(log)).medium
        return try medium.listSegments().compactMap { try medium.openSegment($0.base, writable: false)?.identity.inode }
    }

    @Test(arguments: LogMedium.inMemory, [1, 3])
    func `the oldest segment goes before there is one too many`(on medium: LogMedium, bound: Int) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: bound))
            for number in 0..<400 {
                try log.append(payload(number, 4000))
                #expect(try bases(of: path).count <= bound + 1)
            }
            let seen = Sight.of(log)
            #expect(seen.error == nil && seen.gone.isEmpty)
            #expect(seen.records.last?.sequence == 399)
            #expect(try #require(seen.records.first).sequence >= UInt64(399 - 15 * (bound + 1)))
            #expect(seen.records.map(\.payload) == seen.records.map { payload(Int($0.sequence), 4000) })
            #expect(seen.records.count == 400 - Int(seen.records.first?.sequence ?? 0))
            #expect(code { _ = try log.tailer(from: .sequence(3)) } == .recordsGone)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a tailer that fell behind reads what it has mapped, is told once what is gone, and goes on`(
        on medium: LogMedium
    ) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: 2))
            for number in 0..<10 { try log.append(payload(number, 4000)) }
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            #expect(try tailer.nextSeen()?.sequence == 0)
            for number in 10..<200 { try log.append(payload(number, 4000)) }
            // 14 records of 4,024 bytes and an `end` fit into a segment.
            for number in 1..<14 { #expect(try tailer.nextSeen()?.payload == payload(number, 4000)) }
            let first = try #require(Sight.of(log).records.first)
            let error = try #require(failure { _ = try tailer.nextSeen() })
            #expect(error.code == .recordsGone && error.goneSequences == 14..<first.sequence)
            for number in Int(first.sequence)..<200 { #expect(try tailer.nextSeen()?.payload == payload(number, 4000)) }
            #expect(try tailer.nextSeen() == nil)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a preparer that was held up makes no segment that was dropped since`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: 2))
            for number in 0..<200 { try log.append(payload(number, 4000)) }
            let before = try bases(of: path)
            let place = try LogPlace(at: log.location)
            for base in [UInt64(0), 65_536, before[0] - 65_536] {
                #expect(code { _ = try place.prepareSegment(base, namesAreDurable: false) } == .missingSegment)
            }
            let after = try bases(of: path)
            // The log's own preparer may have been at work meanwhile.
            #expect(after[0] >= before[0])
            #expect(zip(after, after.dropFirst()).allSatisfy { $1 == $0 + 65_536 })
            for number in 200..<300 { try log.append(payload(number, 4000)) }
            #expect(Sight.of(log).error == nil)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `dropped segments are used again`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: 2))
            var identities: Set<UInt64> = []
            for number in 0..<1000 {
                try log.append(payload(number, 4000))
                identities.formUnion(try self.identities(of: path))
            }
            // 70 segments in the memory of a few: the bound, the prepared one, and now and then one still mapped.
            #expect(identities.count < 20, "\(identities.count)")
            #expect(try bases(of: path).last! >= 70 << 16)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a segment that a tailer maps is not used again, and keeps what it has`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: 2))
            for number in 0..<14 { try log.append(payload(number, 4000)) }
            let reader = try Log.openReadOnly(at: path)
            var kept: [RetainedRecord] = []
            var tailer = try reader.tailer()
            while let record = try tailer.retainedNext() { kept.append(record) }
            let held = try #require(try identities(of: path).first)
            for number in 14..<500 {
                try log.append(payload(number, 4000))
                if number > 100 { #expect(try !identities(of: path).contains(held)) }
            }
            #expect(kept.map { SeenRecord($0).payload } == (0..<14).map { payload($0, 4000) })
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a protecting tailer holds the bound until it commits`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: options(segments: 3))
            var tailer = try log.tailer(named: "slow", protecting: true)
            var appended = 0
            var refusal: LogError?
            while refusal == nil, appended < 1000 {
                do throws(LogError) {
                    try log.append(payload(appended, 4000))
                    appended += 1
                } catch { refusal = error }
            }
            #expect(refusal?.code == .diskFull)
            #expect(refusal?.found?.contains("slow") == true)
            // The bound and the one that could still be prepared.
            #expect(appended == 14 * 4)
            #expect(code { try log.append(payload(appended, 4000)) } == .diskFull)
            for number in 0..<30 { #expect(try tailer.tailer.nextSeen()?.payload == payload(number, 4000)) }
            try tailer.commit()
            for _ in 0..<20 {
                try log.append(payload(appended, 4000))
                appended += 1
            }
            for number in 30..<appended { #expect(try tailer.tailer.nextSeen()?.payload == payload(number, 4000)) }
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `what is committed is durable, and a sync has nothing to do`(on medium: LogMedium) async throws {
        try await withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let opening = OpenOptions(durability: .everyAppend)
            let log = try Log.create(at: path, options: options(segments: 3), opening: opening)
            var tailer = try log.tailer(visibility: .durable)
            for number in 0..<100 {
                try log.append(payload(number, 4000))
                #expect(try log.durablePosition == log.endPosition)
                #expect(try tailer.nextSeen()?.payload == payload(number, 4000))
            }
            let end = try log.endPosition
            try await log.sync()
            try log.close()
            #expect(code { try log.append([1]) } == .closed)
            let again = try Log.open(at: path)
            #expect(again.recovery?.cleanClose == true)
            // No mark: there is nothing that it could state.
            #expect(try again.endPosition == end && again.durablePosition == end)
            #expect(try again.info().durablePosition == end.rawValue)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a log in memory has a bound, and segments that fit into a container, unless it is told otherwise`(
        on medium: LogMedium
    ) throws {
        try withTemporaryLogs(on: medium) { logs in
            let defaults = try Log.create(at: logs.appending("defaults"))
            #expect(defaults.segmentSize == 8 << 20)
            #expect(try LogOptions(ofLogAt: logs.appending("defaults")).retention?.segments == 4)
            try defaults.close()
            // A rule that doesn't speak of segments leaves them bounded.
            let aged = LogOptions(segmentSize: 64 << 10, retention: Retention(age: .seconds(3600)))
            try Log.create(at: logs.appending("aged"), options: aged).close()
            let rule = try LogOptions(ofLogAt: logs.appending("aged")).retention
            #expect(rule?.segments == 4 && rule?.age == .seconds(3600))
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `compaction is refused`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let compacting = LogOptions(compactAfter: .zero)
            #expect(code { _ = try Log.create(at: path, options: compacting) } == .unsuitableMedium)
            try Log.create(at: path, options: medium.small).close()
            #expect(code { _ = try Compactor.compact(at: path) } == .unsuitableMedium)
            #expect(code { _ = try Compactor.restore(at: path) } == .unsuitableMedium)
            #expect(code { _ = try Maintenance.snapshot(at: path, to: logs.appending("copy")) } == .unsuitableMedium)
        }
    }
}

extension LogMedium {
    static let inMemory: [LogMedium] = [.sharedMemory, .systemV]
}
