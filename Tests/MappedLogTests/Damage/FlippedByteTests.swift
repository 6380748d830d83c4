import Foundation
import MappedLog
import SystemPackage
import Testing

/// Each byte of a log is changed, one at a time: the outcome is the right records or an error that says where.
@Suite(.timeLimit(.minutes(10))) struct FlippedByteTests {
    /// All bits of every other byte, one bit of those between.
    static func change(_ offset: Int) -> UInt8 { offset % 2 == 0 ? 1 << UInt8(offset / 2 % 8) : 0xFF }

    @Test func `a changed byte of a closed log never costs a reader a record unseen`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try DamagedLog(at: directory.appending("log"))
            let path = directory.appending("copy")
            // Only what the frames say counts: everything before the mark at the end is known to be durable.
            let image = log.closed.withoutLive
            try image.write(to: path)
            for name in image.files.keys.sorted() {
                var errors = 0
                for offset in log.offsets(of: name, in: image) {
                    let change = Self.change(offset)
                    try edit(path.appending(name), at: offset) { $0 ^ change }
                    let sight = Sight.of(path)
                    try edit(path.appending(name), at: offset) { $0 ^ change }
                    let place: Comment = "\(name) at \(offset), \(change)"
                    if sight.error == nil {
                        #expect(sight.records == log.records, place)
                    } else {
                        errors += 1
                        #expect(log.isPrefix(sight.records), place)
                        #expect(sight.error?.file != nil, place)
                    }
                }
                // Prepared segments and tailers have nothing to damage but what is checked elsewhere.
                if name.hasSuffix(".mlog"), name != log.segments.last { #expect(errors > 400) }
            }
            #expect(Sight.of(path).records == log.records)
        }
    }

    @Test func `a changed byte of what was not durable cuts the log there`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try DamagedLog(at: directory.appending("log"))
            let path = directory.appending("copy")
            try log.crashed.write(to: path)
            // Sealed segments may have been flushed meanwhile.
            let durable = try Log.openReadOnly(at: path).durablePosition.rawValue
            var cuts = 0
            for name in log.segments.dropLast() {
                for offset in log.offsets(of: name, in: log.crashed) where offset >= 4096 && offset < 61440 {
                    let change = Self.change(offset)
                    try edit(path.appending(name), at: offset) { $0 ^ change }
                    let sight = Sight.of(path)
                    try edit(path.appending(name), at: offset) { $0 ^ change }
                    let place: Comment = "\(name) at \(offset), \(change)"
                    let position = DamagedLog.base(of: name) + UInt64(offset)
                    guard sight.error == nil else {
                        #expect(sight.error?.code == .damaged && position < durable, place)
                        #expect(log.isPrefix(sight.records), place)
                        continue
                    }
                    // Behind the last record of a segment there is an `end` frame, and nothing.
                    let hit = log.records.last { $0.position <= position }!
                    if position < hit.position + UInt64(24 + (hit.payload.count + 7) / 8 * 8) {
                        cuts += 1
                        let kept = Int(log.firstOfGroup.last { $0 <= hit.sequence }!)
                        #expect(sight.records == Array(log.records.prefix(kept)), place)
                    } else {
                        #expect(
                            sight.records == log.records || sight.records.count == Int(hit.sequence) + 1,
                            place
                        )
                    }
                }
            }
            #expect(cuts > 300)
        }
    }

    @Test func `a changed byte of a log without a clean close is mended or refused by a writer`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try DamagedLog(at: directory.appending("log"))
            let path = directory.appending("copy")
            let image = log.closed.withoutLive
            for name in image.files.keys.sorted() {
                for offset in log.offsets(of: name, in: image) {
                    // The reader's test has them all; recovery costs more.
                    if name.hasSuffix(".mlog"), offset >= 4200, offset % 7 != 0 { continue }
                    var damaged = image
                    let change = Self.change(offset)
                    damaged.files[name]![offset] ^= change
                    try damaged.write(to: path)
                    try expectRightOrRefused(log, path, damaged, "\(name) at \(offset), \(change)")
                }
            }
        }
    }

    @Test func `a changed byte of the running system's files costs nothing`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try DamagedLog(at: path)
            let control = log.closed.files["live/control"]!
            // The fields in use, and some that are reserved.
            let offsets = control.indices.filter { $0 < 600 || $0 % 509 == 0 }
            for offset in offsets {
                try log.closed.write(to: path)
                let change = Self.change(offset)
                try edit(path.appending("live/control"), at: offset) { $0 ^ change }
                let place: Comment = "live/control at \(offset), \(change)"
                let sight = Sight.of(path)
                #expect(log.isPrefix(sight.records), place)
                if sight.error == nil {
                    #expect(sight.records == log.records, place)
                } else {
                    #expect(sight.error?.file != nil, place)
                }
                let writer = try Log.open(at: path)
                #expect(Sight.of(writer).records == log.records, place)
                let appended = try writer.append(Array("more".utf8))
                #expect(appended.sequence == UInt64(log.records.count), place)
                #expect(Sight.of(writer).records.count == log.records.count + 1, place)
            }
        }
    }

    @Test func `a changed byte of a named tailer's file takes it back one commit, or is reported`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try DamagedLog(at: path)
            let file = "tailers/\(DamagedLog.tailerName)"
            let writer = try Log.open(at: path)
            try writer.resetNamedTailer(DamagedLog.tailerName, to: .sequence(5))
            try writer.resetNamedTailer(DamagedLog.tailerName, to: .sequence(7))
            let whole = try readFile(path.appending(file))
            for offset in whole.indices {
                for change in [UInt8(1) << UInt8(offset % 8), 0xFF] {
                    try edit(path.appending(file), at: offset) { $0 ^ change }
                    let place: Comment = "\(file) at \(offset), \(change)"
                    do throws(LogError) {
                        let tailer = try writer.tailer(named: DamagedLog.tailerName)
                        #expect([5, 7].contains(tailer.tailer.sequence), place)
                        #expect(
                            tailer.tailer.position.rawValue == log.records[Int(tailer.tailer.sequence)].position,
                            place
                        )
                    } catch {
                        #expect(error.file?.lastComponent?.string == DamagedLog.tailerName, place)
                    }
                    try writeFile(path.appending(file), whole)
                }
            }
            #expect(try writer.tailer(named: DamagedLog.tailerName).tailer.sequence == 7)
        }
    }

    private func expectRightOrRefused(
        _ log: DamagedLog,
        _ path: FilePath,
        _ damaged: LogImage,
        _ place: Comment
    ) throws {
        do throws(LogError) {
            let writer = try Log.open(at: path)
            // Recovery walks from known durable on: damage before it is a tailer's to find.
            let sight = Sight.of(writer)
            #expect(sight.error == nil ? sight.records == log.records : log.isPrefix(sight.records), place)
            let appended = try writer.append(Array("more".utf8))
            #expect(appended.sequence == UInt64(log.records.count), place)
            let last = Sight.of(writer, from: .sequence(appended.sequence))
            #expect(last.records.map(\.payload) == [Array("more".utf8)], place)
            try writer.close()
        } catch {
            #expect(error.file != nil, place)
            #expect(try LogImage(of: path).withoutLive == damaged, place)
        }
    }
}
