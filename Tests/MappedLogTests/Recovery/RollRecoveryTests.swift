import SystemPackage
import Testing

@testable import MappedLog

/// Ends of segments, their lines, their index, and what lies behind the cut (`spec/format.md`, chapter 13).
@Suite struct RollRecoveryTests {
    static let next: UInt64 = 65_536

    /// A full segment and the next with two records; nothing but the first position is stated as durable.
    private func image() throws -> LogImage {
        var image = try LogImage.ofCrash { log in
            try log.append(payload(0, 100))
            try log.append(payload(1, 50_000))
            try log.append(payload(2, 20_000))
            try log.append(payload(3, 100))
        }
        image.edit(0) { $0.stateEverywhere(4096) }
        image.edit(Self.next) { $0.stateEverywhere(4096) }
        return image
    }

    @Test(arguments: ["missing", "no line", "bad line", "other sequence", "other timestamp"])
    func `a log whose successor is missing or not activated ends there, and gets a new one`(kind: String) throws {
        var image = try image()
        let old = SegmentImage(image, Self.next)
        image.edit(Self.next) { segment in
            switch kind {
            case "no line": segment.bytes.replaceSubrange(512..<544, with: [UInt8](repeating: 0, count: 32))
            case "bad line": segment.bytes[520] ^= 1
            case "other sequence":
                segment.store(UInt64(7), at: 520)
                segment.signLine(at: 512, byteCount: 32)
            case "other timestamp":
                segment.store(Int64(7), at: 528)
                segment.signLine(at: 512, byteCount: 32)
            default: break
            }
        }
        if kind == "missing" { image.files[SegmentImage.name(Self.next)] = nil }
        try image.withFiles { path in
            let reader = try Log.openReadOnly(at: path)
            if kind != "other timestamp" {
                #expect(Sight.of(reader).error == nil)
                #expect(Sight.of(reader).records.map(\.sequence) == [0, 1])
            }
            #expect(try reader.endPosition.rawValue == Self.next + 4096)

            let log = try Log.open(at: path)
            let report = try #require(log.recovery)
            #expect(report.cutPosition == nil && report.nextSequence == 2)
            #expect(report.endPosition == Self.next + 4096)
            #expect(
                report.kept.map { FilePath($0).lastComponent!.string }
                    == (kind == "missing" ? [] : [SegmentImage.name(Self.next)])
            )
            let appended = try log.append([9])
            #expect(appended.sequence == 2 && appended.position.rawValue == Self.next + 4096)
            #expect(Sight.of(log).records.map(\.payload) == [payload(0, 100), payload(1, 50_000), [9]])
            let made = SegmentImage(try LogImage(of: path), Self.next)
            #expect(made.salt != old.salt)
            if let kept = report.kept.first {
                #expect(try readFile(FilePath(kept)) == image.files[SegmentImage.name(Self.next)])
            }
        }
    }

    @Test func `a prepared segment behind one that is set aside goes too, and leaves no hole`() throws {
        var image = try image()
        let third = SegmentImage.name(2 * Self.next)
        if image.files[third] == nil {
            // What the preparer would have made by then.
            var prepared = SegmentImage(image, Self.next)
            for offset in 512..<prepared.bytes.count { prepared.bytes[offset] = 0 }
            prepared.store(2 * Self.next, at: 64)
            prepared.signHeader()
            image.files[third] = prepared.bytes
        }
        // The second frame is torn, and with it goes everything behind it.
        let frames = SegmentImage(image).frames
        image.edit(0) { $0.bytes[frames[1] + 40] ^= 1 }
        try image.withFiles { path in
            // Without a preparer, which would fill the hole.
            var recovery = Recovery(try LogPlace(at: .file(path)))
            try recovery.run(mistrustsCache: false) {}
            #expect(recovery.report.cutPosition == UInt64(frames[1]))
            #expect(try LogImage(of: path).files.keys.filter { $0.hasSuffix(".mlog") && !$0.contains("/") }.count == 1)
            #expect(Sight.of(path).error == nil)
            let log = try Log.open(at: path)
            try log.append(payload(1, 50_000))
            try log.append(payload(2, 20_000))
            #expect(Sight.of(log).records.map(\.payload.count) == [100, 50_000, 20_000])
        }
    }

    @Test func `a durable successor that is not activated is damage`() throws {
        var image = try image()
        image.edit(Self.next) { segment in
            segment.stateEverywhere(Self.next + 4096)
            segment.bytes[520] ^= 1
        }
        try image.withFiles { path in
            for error in [failure { _ = try Log.open(at: path) }, Sight.of(path).error] {
                #expect(error?.code == .damaged)
                #expect(error?.file?.lastComponent?.string == SegmentImage.name(Self.next))
                #expect(error?.position?.rawValue == Self.next + 4096)
            }
            #expect(Sight.of(path).records.map(\.sequence) == [0, 1])
            let after = try LogImage(of: path).withoutLive
            #expect(after == image)
        }
    }

    @Test func `a bad seal is written anew`() throws {
        let whole = try image()
        var image = whole
        image.edit(0) { $0.bytes[1032] ^= 0xFF }
        try image.withFiles { path in
            let log = try Log.open(at: path)
            #expect(log.recovery?.rewrittenSeals == 1)
            #expect(
                try readFile(path.appending(SegmentImage.name(0)))[1024..<1072]
                    == SegmentImage(whole).bytes[1024..<1072]
            )
            #expect(Sight.of(log).records.count == 4)
        }
    }

    @Test func `a seal without its end is cleared`() throws {
        var image = try LogImage.ofCrash { log in try log.append(payload(0, 100)) }
        let sealed = SegmentImage(try self.image())
        image.edit(0) { segment in
            segment.bytes.replaceSubrange(1024..<1072, with: sealed.bytes[1024..<1072])
            segment.store(UInt64(4096), at: 1032)
            segment.signLine(at: 1024, byteCount: 48)
        }
        try image.withFiles { path in
            let log = try Log.open(at: path)
            #expect(log.recovery?.rewrittenSeals == 1)
            #expect(try readFile(path.appending(SegmentImage.name(0)))[1024..<1072].allSatisfy { $0 == 0 })
            #expect(Sight.of(log).records.count == 1)
        }
    }

    @Test func `index entries are rebuilt before the end and cleared behind it`() throws {
        let whole = try LogImage.ofCrash(segmentSize: 256 << 10) { log in
            for number in 0..<4 { try log.append(payload(number, 30_000)) }
        }
        let index = (256 << 10) - 4096
        var image = whole
        image.edit(0) { segment in
            segment.bytes[index + 40] ^= 1
            // A good entry of a block behind the end, and a bad one.
            segment.bytes.replaceSubrange(index + 64..<index + 96, with: segment.bytes[index..<index + 32])
            segment.bytes[index + 100] = 7
        }
        #expect(image.files != whole.files)
        try image.withFiles { path in
            let log = try Log.open(at: path)
            #expect(log.recovery?.rebuiltIndexEntries == 3)
            let file = try readFile(path.appending(SegmentImage.name(0)))
            #expect(file[index...].elementsEqual(SegmentImage(whole).bytes[index...]))
            #expect(Sight.of(log, from: .sequence(2)).records.map(\.sequence) == [2, 3])
        }
    }

    @Test func `segments behind the cut are set aside and made anew`() throws {
        var image = try image()
        let frames = SegmentImage(image).frames
        image.edit(0) { $0.bytes[frames[1] + 100] ^= 1 }
        let behind = SegmentImage(image, Self.next)
        try image.withFiles { path in
            #expect(Sight.of(path).records.map(\.sequence) == [0])
            let log = try Log.open(at: path)
            let report = try #require(log.recovery)
            #expect(report.cutPosition == UInt64(frames[1]))
            #expect(report.kept.count == 2)
            let kept = try #require(report.kept.first { $0.hasSuffix(SegmentImage.name(Self.next)) })
            #expect(try readFile(FilePath(kept)) == behind.bytes)
            for number in 1..<4 { try log.append(payload(number, 30_000)) }
            #expect(Sight.of(log).records.map(\.sequence) == [0, 1, 2, 3])
            #expect(try SegmentImage(LogImage(of: path), Self.next).salt != behind.salt)
        }
    }

    @Test func `recovering twice comes to the same log`() throws {
        var image = try image()
        let frames = SegmentImage(image, Self.next).frames
        image.edit(Self.next) { $0.bytes[frames[1] + 30] ^= 1 }
        image.edit(0) { $0.bytes[1032] ^= 0xFF }
        let once = try image.withFiles { path -> LogImage in
            let log = try Log.open(at: path)
            #expect(log.recovery?.cutPosition == Self.next + UInt64(frames[1]))
            return try LogImage(of: path).withoutLive
        }
        try once.withFiles { path in
            let log = try Log.open(at: path)
            let report = try #require(log.recovery)
            #expect(report.cutPosition == nil && report.kept.isEmpty && report.rewrittenSeals == 0)
            #expect(report.rebuiltIndexEntries == 0)
            let twice = try LogImage(of: path).withoutLive
            for name in [SegmentImage.name(0), SegmentImage.name(Self.next)] {
                #expect(twice.files[name] == once.files[name])
            }
            #expect(twice.files.keys.filter { $0.hasPrefix("lost") } == once.files.keys.filter { $0.hasPrefix("lost") })
        }
    }

    @Test func `an interrupted recovery keeps what it cut once only`() throws {
        var image = try image()
        let frames = SegmentImage(image, Self.next).frames
        image.edit(Self.next) { $0.bytes[frames[1] + 30] ^= 1 }
        try image.withFiles { path in
            let kept = try #require(try Log.open(at: path).recovery?.kept.first)
            // As if it had died between keeping the bytes and cutting them off.
            try image.files.forEach { try writeFile(path.appending($0.key), $0.value) }
            let log = try Log.open(at: path)
            #expect(log.recovery?.kept == [kept])
        }
    }
}
