import MappedLog
import SystemPackage
import Testing

/// What a crash left unfinished is cut off and kept; what was durable is never cut (`spec/format.md`, chapter 13).
@Suite struct TornTailTests {
    /// What a crash may do to the last frames.
    enum Tear: String, CaseIterable, Sendable {
        case flippedPayload, flippedCRC, flippedLength, lostWord, garbageBehind, lengthOutside, lostPage
    }

    /// Five records of 100 bytes, of which none is known to be durable.
    private func image() throws -> LogImage {
        try .ofCrash { log in for number in 0..<5 { try log.append(payload(number, 100)) } }
    }

    @Test(arguments: Tear.allCases)
    func `a torn tail is cut off and kept, and the log goes on`(tear: Tear) throws {
        var image = try image()
        let frames = SegmentImage(image).frames
        var torn = 3
        image.edit { segment in
            switch tear {
            case .flippedPayload: segment.bytes[frames[3] + 60] ^= 4
            case .flippedCRC: segment.bytes[frames[3] + 9] ^= 0x80
            case .flippedLength: segment.bytes[frames[3]] ^= 1
            case .lengthOutside: segment.store(UInt32.max, at: frames[3])
            case .lostWord: segment.store(UInt64(0), at: frames[3])
            case .garbageBehind:
                torn = 5
                segment.bytes[frames[4] + 128 + 300] = 0xAA
            case .lostPage:
                torn = 0
                for offset in 4096..<4096 + 50 { segment.bytes[offset] = 0 }
            }
        }
        try image.withFiles { path in
            let sight = Sight.of(path)
            #expect(sight.error == nil)
            #expect(sight.records.map(\.payload) == (0..<torn).map { payload($0, 100) })

            let log = try Log.open(at: path)
            let report = try #require(log.recovery)
            let cut = 4096 + 128 * torn
            #expect(report.cutPosition == UInt64(cut))
            #expect(report.endPosition == UInt64(cut) && report.nextSequence == UInt64(torn))
            #expect(!report.cleanClose && report.durablePosition == 4096)
            let kept = try #require(report.kept.first)
            #expect(report.kept.count == 1 && kept.contains("/lost+found/"))
            let before = SegmentImage(image).bytes
            let end = before[..<61_440].lastIndex { $0 != 0 }! + 1
            #expect(try readFile(FilePath(kept)) == Array(before[cut..<(end + 7) / 8 * 8]))
            #expect(report.cutBytes == UInt64((end + 7) / 8 * 8 - cut))
            #expect(try readFile(path.appending(SegmentImage.name(0)))[cut..<61_440].allSatisfy { $0 == 0 })

            let appended = try log.append(payload(77, 10))
            #expect(appended.sequence == UInt64(torn) && appended.position.rawValue == UInt64(cut))
            #expect(Sight.of(log).records.map(\.payload) == (0..<torn).map { payload($0, 100) } + [payload(77, 10)])
        }
    }

    @Test(arguments: [0, 1, 2, 3])
    func `an incomplete batch goes whole`(lost: Int) throws {
        var image = try LogImage.ofCrash { log in
            try log.append(payload(9, 20))
            try log.append(batch: (0..<4).map { payload($0, 20) })
        }
        let frames = SegmentImage(image).frames
        image.edit { $0.store(UInt64(0), at: frames[1 + lost]) }
        try image.withFiles { path in
            #expect(Sight.of(path).records.map(\.payload) == [payload(9, 20)])
            let log = try Log.open(at: path)
            #expect(log.recovery?.cutPosition == UInt64(frames[1]))
            #expect(Sight.of(log).records.map(\.payload) == [payload(9, 20)])
            try log.append(batch: [[1], [2]])
            #expect(Sight.of(log).records.map(\.payload) == [payload(9, 20), [1], [2]])
        }
    }

    @Test(arguments: ["flip", "zero", "length"])
    func `damage below known durable is refused, and leaves the files as they are`(kind: String) throws {
        var image = try LogImage.ofCrash { log in
            for number in 0..<3 { try log.append(payload(number, 100)) }
            try log.sync()
            try log.append(payload(3, 100))
        }
        let frames = SegmentImage(image).frames
        image.edit { segment in
            switch kind {
            case "flip": segment.bytes[frames[1] + 50] ^= 1
            case "zero": for offset in frames[1]..<frames[2] { segment.bytes[offset] = 0 }
            default: segment.store(UInt32.max - 7, at: frames[1])
            }
        }
        try image.withFiles { path in
            let error = try #require(failure { _ = try Log.open(at: path) })
            #expect(error.code == .damaged)
            #expect(error.file == path.appending(SegmentImage.name(0)))
            #expect(error.position?.rawValue == UInt64(frames[1]))
            let after = try LogImage(of: path).withoutLive
            #expect(after == image)
            let sight = Sight.of(path)
            #expect(sight.records.map(\.payload) == [payload(0, 100)])
            #expect(sight.error?.code == .damaged)
            #expect(sight.error?.position?.rawValue == UInt64(frames[1]))
            // Behind the damage another start may read on.
            let behind = Sight.of(
                try Log.openReadOnly(at: path),
                from: .position(Position(rawValue: UInt64(frames[2])))
            )
            #expect(behind.error != nil || behind.records.map(\.payload) == [payload(2, 100), payload(3, 100)])
        }
    }

    @Test func `a stray inner frame is no record, wherever it stands`() throws {
        var image = try image()
        let frames = SegmentImage(image).frames
        for flags in [UInt8(2), 4] {
            image.edit { $0.putFrame(at: frames[3], flags: flags, payload: payload(3, 100)) }
            try image.withFiles { path in
                #expect(Sight.of(path).records.count == 3)
                let log = try Log.open(at: path)
                #expect(log.recovery?.cutPosition == UInt64(frames[3]))
            }
        }
    }

    @Test(arguments: [
        (kind: 4, flags: 0, reserved: 0), (1, 8, 0), (1, 3, 0), (1, 0x80, 0), (6, 0, 0), (1, 0, 1), (2, 0, 0),
        (3, 0, 0),
    ])
    func `what a newer version wrote is unsupported, behind known durable too`(
        word: (kind: Int, flags: Int, reserved: Int)
    ) throws {
        var image = try image()
        let frames = SegmentImage(image).frames
        image.edit { segment in
            segment.putFrame(
                at: frames[3],
                kind: UInt8(word.kind),
                flags: UInt8(word.flags),
                reserved: UInt16(word.reserved),
                payload: payload(3, 100)
            )
        }
        try image.withFiles { path in
            let sight = Sight.of(path)
            #expect(sight.error?.code == .unsupportedSegment)
            #expect(sight.error?.position?.rawValue == UInt64(frames[3]))
            #expect(sight.records.count == 3)
            #expect(code { _ = try Log.open(at: path) } == .unsupportedSegment)
            let after = try LogImage(of: path).withoutLive
            #expect(after == image)
        }
    }

    @Test func `what no crash could make is cut where frames have no room`() throws {
        // A segment full of frames up to where `end` must stand, and a record where only `end` fits.
        var image = try LogImage.ofCrash { log in try log.append(payload(0, 57_296)) }
        image.edit { $0.putFrame(at: 61_416) }
        try image.withFiles { path in
            #expect(Sight.of(path).records.count == 1)
            let log = try Log.open(at: path)
            #expect(log.recovery?.cutPosition == 61_416)
            try log.append([1])
            #expect(Sight.of(log).records.map(\.payload.count) == [57_296, 1])
        }
    }
}
