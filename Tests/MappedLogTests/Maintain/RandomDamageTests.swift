import Foundation
import MappedLog
import SystemPackage
import Testing

/// Damage at random places: nothing of it may be taken for a record, end a run, or keep a log from being repaired.
@Suite struct RandomDamageTests {
    @Test(arguments: UInt64(1)...24)
    func `a log with damage at random places is repaired, and its whole records stay`(seed: UInt64) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let sample = try Sample(in: directory, count: 500)
            var dice = Dice(state: seed)
            let bases = Array(Set(sample.records.map { sample.base(of: $0.position) })).sorted()
            for _ in 0..<1 + dice.next() % 6 {
                try harm(sample, bases[Int(dice.next() % UInt64(bases.count))], &dice)
            }
            let found = try Maintenance.verify(at: sample.path)
            let before = try sample.image()
            let report = try Maintenance.repair(at: sample.path)
            if found.findings.isEmpty && found.notes.isEmpty { #expect(try sample.changes(since: before) == []) }
            #expect(report.unmended == [])
            #expect(try Maintenance.verify(at: sample.path).findings == [])

            let image = try sample.image()
            #expect(try Maintenance.repair(at: sample.path).mended == [])
            #expect(try sample.changes(since: image) == [])

            let sight = Sight.of(sample.path)
            #expect(sight.error == nil)
            let isProved = report.unprovedSequences.isEmpty
            for record in sight.records {
                let whole = sample.records.first { $0.position == record.position }
                #expect(whole?.payload == record.payload)
                #expect(!isProved || whole == record)
            }
            #expect(sight.records.count >= Int(found.records))
            let log = try Log.open(at: sample.path)
            try log.append(Array("more".utf8))
            #expect(Sight.of(log).records.count == sight.records.count + 1)
        }
    }

    private func harm(_ sample: Sample, _ base: UInt64, _ dice: inout Dice) throws {
        let file = sample.file(base)
        guard var bytes = try? readFile(file), !bytes.isEmpty else { return }
        let place = Int(dice.next() % UInt64(bytes.count))
        switch dice.next() % 6 {
        case 0: bytes[place] ^= UInt8(1 << (dice.next() % 8))
        case 1:
            let end = min(bytes.count, place + Int(dice.next() % 20_000))
            for index in place..<end { bytes[index] = 0 }
        case 2:
            let end = min(bytes.count, place + Int(dice.next() % 3000))
            for index in place..<end { bytes[index] = UInt8(truncatingIfNeeded: dice.next()) }
        case 3: bytes[Int(dice.next() % 1100) % bytes.count] ^= 0x20
        case 4: bytes = Array(bytes.prefix(place))
        default: return try FileManager.default.removeItem(atPath: file.string)
        }
        try writeFile(file, bytes)
    }

    /// splitmix64: the same numbers in each run.
    private struct Dice {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }
}
