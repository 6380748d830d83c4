import SystemPackage
import Testing
import _CMappedLog

@testable import MappedLog

/// Files that somebody made on purpose: every checksum is right, and nothing else has to be.
@Suite(.timeLimit(.minutes(10))) struct HostileFileTests {
    private func image() throws -> LogImage {
        var image = try LogImage.ofCrash { log in
            for number in 0..<8 { try log.append(payload(number, 40)) }
            try log.append(batch: [[1], [2], [3]])
        }
        image.edit { $0.stateEverywhere(nil) }
        return image
    }

    /// Reads in all ways there are; whatever comes, it must come back.
    private func readEverything(_ path: FilePath) {
        guard let log = try? Log.openReadOnly(at: path) else { return }
        let sight = Sight.of(log)
        _ = try? (log.endPosition, log.nextSequence, log.durablePosition)
        for start in [
            TailStart.first, .end, .sequence(3), .sequence(.max - 1), .position(Position(rawValue: 4096)), .time(.now),
        ] {
            guard var tailer = try? log.tailer(from: start) else { continue }
            var steps = 0
            while steps < 100, (try? tailer.previousSeen()) != nil, tailer.position.rawValue > 4096 { steps += 1 }
            _ = try? tailer.read(upTo: 3) { _ in }
        }
        // Sequences follow each other, whatever the files say.
        for (record, next) in zip(sight.records, sight.records.dropFirst()) {
            #expect(next.sequence > record.sequence || record.sequence == .max)
            #expect(next.position > record.position)
        }
        _ = try? log.namedTailers()
    }

    @Test func `frames with right checksums and any words trap nobody`() throws {
        let image = try image()
        let frames = SegmentImage(image).frames
        var random = SplitMix(state: 1)
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            for _ in 0..<400 {
                var forged = image
                forged.edit { segment in
                    let offset = frames[Int(random.next() % UInt64(frames.count))]
                    segment.bytes[offset + 4] = UInt8(random.next() % 7) &* (random.next() % 5 == 0 ? 0x41 : 1)
                    segment.bytes[offset + 5] = random.next() % 2 == 0 ? 0 : UInt8(truncatingIfNeeded: random.next())
                    if random.next() % 2 == 0 {
                        segment.store(UInt32(truncatingIfNeeded: random.next() % 300), at: offset)
                    }
                    if random.next() % 2 == 0 {
                        segment.store(UInt32(truncatingIfNeeded: random.next()), at: offset + 12)
                    }
                    if random.next() % 2 == 0 { segment.store(random.next(), at: offset + 16) }
                    segment.sign(offset)
                }
                try forged.write(to: path)
                readEverything(path)
                if let log = try? Log.open(at: path) {
                    let appended = try log.append([9])
                    #expect(Sight.of(log, from: .position(appended.position)).records.map(\.payload) == [[9]])
                }
            }
        }
    }

    @Test func `lost frames take and give any sequence`() throws {
        for next in [UInt64(0), 1, 2, 3, 9, 1 << 63 - 1, 1 << 63, .max - 1, .max] {
            var image = try image()
            let frames = SegmentImage(image).frames
            image.edit {
                $0.putFrame(
                    at: frames[2],
                    kind: 5,
                    payload: [UInt8](repeating: 0, count: 40),
                    timestamp: Int64(bitPattern: next)
                )
            }
            try image.withFiles { path in
                readEverything(path)
                let sight = Sight.of(path)
                // Back behind records that were read, or beyond every sequence: not a frame.
                if next < 2 || next >= 1 << 63 {
                    #expect(sight.records.count == 2 && sight.gone.isEmpty)
                } else {
                    #expect(sight.gone == [.init(position: UInt64(frames[2]), sequences: 2..<next)])
                    #expect(sight.records.count > 2 && sight.records[2].sequence == next)
                }
            }
        }
    }

    @Test func `lines, index entries and headers with right checksums and any values trap nobody`() throws {
        var random = SplitMix(state: 2)
        let values: [UInt64] = [0, 1, 7, 4096, 61_416, 61_432, 65_536, 1 << 31, 1 << 63, .max - 1, .max]
        let image = try image()
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            for _ in 0..<400 {
                var forged = image
                let value = values[Int(random.next() % UInt64(values.count))]
                forged.edit { segment in
                    switch random.next() % 4 {
                    case 0:
                        segment.store(value, at: 520 + Int(random.next() % 2) * 8)
                        segment.signLine(at: 512, byteCount: 32)
                    case 1:
                        segment.store(UInt32(0x4C41_4553), at: 1024)
                        for field in 0..<4 { segment.store(values[Int(random.next() % 11)], at: 1032 + 8 * field) }
                        segment.signLine(at: 1024, byteCount: 48)
                    case 2:
                        segment.store(UInt32(truncatingIfNeeded: value), at: 61_440)
                        segment.store(values[Int(random.next() % 11)], at: 61_448)
                        var checksum = Checksum()
                        checksum.add(segment.salt)
                        checksum.add(UInt64(UInt32(truncatingIfNeeded: value)))
                        checksum.add(Array(segment.bytes[61_440..<61_444]))
                        checksum.add(Array(segment.bytes[61_448..<61_472]))
                        segment.store(checksum.value, at: 61_444)
                    default:
                        segment.store(value, at: 56 + Int(random.next() % 2) * 8)
                        segment.signHeader()
                    }
                }
                try forged.write(to: path)
                readEverything(path)
                if let log = try? Log.open(at: path) { try? log.close() }
            }
        }
    }

    @Test func `noise anywhere traps nobody`() throws {
        let image = try image()
        var random = SplitMix(state: 3)
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            for _ in 0..<300 {
                var noisy = image
                noisy.edit { segment in
                    for _ in 0..<Int(1 + random.next() % 4) {
                        let region = [0..<128, 512..<544, 1024..<1072, 4096..<5000, 61_440..<61_472]
                        let place = region[Int(random.next() % 5)]
                        let start = place.lowerBound + Int(random.next() % UInt64(place.count - 8))
                        segment.store(random.next(), at: start)
                    }
                }
                try noisy.write(to: path)
                readEverything(path)
            }
        }
    }

    @Test func `named tailers with right checksums and any places are refused or stand in the log`() throws {
        let values: [UInt64] = [0, 1, 4096, 4100, 65_536, 1 << 40, 1 << 63, .max]
        let image = try image()
        let id = Array(SegmentImage(image).bytes[40..<56])
        for counter in [UInt64(1), .max] {
            for position in values {
                for sequence in [UInt64(0), 3, .max] {
                    var slot = [UInt8](repeating: 0, count: 1024)
                    slot.replaceSubrange(0..<8, with: Array("MLOGTLR\n".utf8))
                    for (index, value) in [counter, position, sequence].enumerated() {
                        for byte in 0..<8 {
                            slot[8 + 8 * index + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte))
                        }
                    }
                    var checksum = Checksum()
                    checksum.add(id)
                    checksum.add(Array(slot[0..<60]))
                    for byte in 0..<4 { slot[60 + byte] = UInt8(truncatingIfNeeded: checksum.value >> (8 * byte)) }
                    var forged = image
                    forged.files["tailers/forged"] = slot
                    try forged.withFiles { path in
                        readEverything(path)
                        let log = try Log.open(at: path)
                        do throws(LogError) {
                            let tailer = try log.tailer(named: "forged")
                            #expect(tailer.tailer.position <= (try log.endPosition))
                            try tailer.commit()
                        } catch {
                            #expect([.outOfRange, .recordsGone].contains(error.code))
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: [UInt64(0), 1, 4095, 4097, 61_441, 61_448, 65_533, 65_536, 1 << 40 | 4097, .max])
    func `a control block whose tail is no place for a frame is an error, and made anew by a writer`(tail: UInt64)
        throws
    {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10, durability: .never))
            try log.append([7])
            try log.close()
            let control = path.appending("live/control")
            let slots = MemoryLayout<mlog_control>.offset(of: \.slot)!
            for slot in 0..<2 {
                for byte in 0..<8 {
                    try edit(control, at: slots + 32 * slot + byte) { _ in UInt8(truncatingIfNeeded: tail >> (8 * byte))
                    }
                }
            }
            let reader = try Log.openReadOnly(at: path)
            for start in [TailStart.end, .sequence(1), .time(.now)] {
                do throws(LogError) {
                    _ = try reader.tailer(from: start)
                    Issue.record("\(start) leads somewhere")
                } catch {
                    #expect(error.code == .damaged && error.file == control, "\(error)")
                }
            }
            #expect(try Log.open(at: path).append([8]).sequence == 1)
            #expect(Sight.of(path).records.map(\.payload) == [[7], [8]])
        }
    }
}
