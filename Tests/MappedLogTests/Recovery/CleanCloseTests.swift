import Foundation
import Glibc
import SystemPackage
import Testing
import _CMappedLog

@testable import MappedLog

/// Whether the log was closed cleanly, copied, or left with a failed flush, and what becomes of tailers.
@Suite struct CleanCloseTests {
    private func makeLog(at path: FilePath, _ count: Int = 3) throws {
        let log = try Log.create(at: path, options: .small)
        for number in 0..<count { try log.append(payload(number, 100)) }
        try log.close()
    }

    @Test func `a clean close is believed, and the first append takes the note back`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try makeLog(at: path)
            let log = try Log.open(at: path)
            #expect(log.recovery?.cleanClose == true)
            #expect(log.recovery?.nextSequence == 3)
            #expect(try log.durablePosition == log.endPosition)
            // Believed once only: what a crash now leaves is looked at again.
            let crashed = try LogImage(of: path)
            try log.close()
            try crashed.write(to: path)
            let again = try Log.open(at: path)
            #expect(again.recovery?.cleanClose == false)
            #expect(Sight.of(again).records.count == 3)
        }
    }

    @Test func `a second writer recovers nothing and reports nothing`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try makeLog(at: path)
            let first = try Log.open(at: path)
            let second = try Log.open(at: path)
            #expect(first.recovery != nil && second.recovery == nil)
            try first.close()
            try second.append([1])
            try second.close()
            #expect(try Log.open(at: path).recovery?.cleanClose == true)
        }
    }

    @Test func `the note of a copied log is not believed`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try makeLog(at: path)
            let copy = directory.appending("copy")
            try copyDirectory(path, to: copy)
            let log = try Log.open(at: copy)
            #expect(log.recovery?.cleanClose == false)
            #expect(Sight.of(log).records.count == 3)
            let original = try Log.open(at: path)
            #expect(original.recovery?.cleanClose == true)
        }
    }

    @Test func `a note that was put back over a longer log is not believed`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try makeLog(at: path)
            let note = try readFile(path.appending("live/control"))
            let log = try Log.open(at: path)
            try log.append(payload(3, 100))
            try log.close()
            try writeFile(path.appending("live/control"), note)
            let again = try Log.open(at: path)
            #expect(again.recovery?.cleanClose == false)
            #expect(Sight.of(again).records.count == 4)
        }
    }

    @Test(arguments: ["poison", "flushing", "layout"])
    func `what a failed flush left is copied into fresh files, and tailers follow`(kind: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            for number in 0..<3 { try log.append(payload(number, 100)) }
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            for number in 0..<3 { #expect(try tailer.nextSeen()?.payload == payload(number, 100)) }
            let control = try #require(log.writer).control
            if kind == "poison" {
                control.words.poison.store(UInt32(EIO))
                let error = try #require(failure { try log.append([1]) })
                #expect(error.code == .poisoned && error.errno == .ioError)
                #expect(code { try log.append(batch: [[1], [2]]) } == .poisoned)
                #expect(code { try log.append(reserving: 4) { _ in } } == .poisoned)
                #expect(code { try log.sync() } == .poisoned)
                #expect(code { _ = try Log.open(at: path) } == .poisoned)
                #expect(Sight.of(log).records.count == 3)
                #expect(code { try log.close() } == .poisoned)
            } else {
                // As if the flusher had died, nobody closes this log any more; or those of another version have.
                let crashed = try LogImage(of: path)
                try log.close()
                try crashed.write(to: path)
                try edit(path.appending("live/control"), at: kind == "flushing" ? 276 : 8) { _ in 1 }
            }
            let segment = path.appending(SegmentImage.name(0))
            let before = try SystemCall.status(segment).st_ino
            let salt = SegmentImage(try LogImage(of: path)).salt

            let again = try Log.open(at: path)
            #expect(again.recovery?.copiedSegments == 1)
            #expect(try SystemCall.status(segment).st_ino != before)
            #expect(try SegmentImage(LogImage(of: path)).salt == salt)
            try again.append(payload(3, 100))
            #expect(try tailer.wait(upTo: .seconds(20)))
            #expect(try tailer.nextSeen()?.payload == payload(3, 100))
            #expect(Sight.of(again).records.map(\.payload) == (0..<4).map { payload($0, 100) })
        }
    }

    @Test func `a log that needs recovery takes no appends until all closed it`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            try log.append([1])
            try #require(log.writer).control.words.needsRecovery.store(UInt32(EIO))
            #expect(code { try log.append([2]) } == .needsRecovery)
            #expect(code { _ = try Log.open(at: path) } == .needsRecovery)
            #expect(Sight.of(log).records.map(\.payload) == [[1]])
            try? log.close()
            let again = try Log.open(at: path)
            try again.append([2])
            #expect(Sight.of(again).records.map(\.payload) == [[1], [2]])
        }
    }

    @Test func `named tailers beyond the end are moved to it, and named in the report`() throws {
        var image = try LogImage.ofCrash { log in
            for number in 0..<4 { try log.append(payload(number, 100)) }
            try log.resetNamedTailer("behind", to: .sequence(1))
            try log.resetNamedTailer("beyond", to: .end)
            try log.resetNamedTailer("damaged", to: .end)
        }
        let frames = SegmentImage(image).frames
        image.edit { $0.bytes[frames[2] + 40] ^= 1 }
        image.files["tailers/damaged"]![20] ^= 1
        try image.withFiles { path in
            let log = try Log.open(at: path)
            #expect(log.recovery?.movedTailers == ["beyond"])
            let moved = try log.tailer(named: "beyond")
            #expect(moved.tailer.sequence == 2 && moved.tailer.position.rawValue == UInt64(frames[2]))
            #expect(try log.tailer(named: "behind").tailer.sequence == 1)
            #expect(code { _ = try log.tailer(named: "damaged") } == .damaged)
        }
    }

    @Test func `a tailer that stands at a torn tail goes on behind the cut`() throws {
        var image = try LogImage.ofCrash { log in for number in 0..<4 { try log.append(payload(number, 100)) } }
        let frames = SegmentImage(image).frames
        image.edit { $0.bytes[frames[2] + 40] ^= 1 }
        try image.withFiles { path in
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            #expect(try tailer.read(upTo: 10) { _ in } == 2)
            let log = try Log.open(at: path)
            try log.append(payload(7, 30))
            #expect(try tailer.wait(upTo: .seconds(20)))
            #expect(try tailer.nextSeen()?.payload == payload(7, 30))
            #expect(try tailer.nextSeen() == nil)
        }
    }

    @Test func `what killed processes left unpublished is removed by the first writer`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try makeLog(at: path)
            let leftover = path.appending(".tmp-0123456789abcdef")
            try writeFile(leftover, [1, 2, 3])
            try FileManager.default.removeItem(atPath: path.appending("live").string)
            let log = try Log.open(at: path)
            #expect(!FileManager.default.fileExists(atPath: leftover.string))
            #expect(Sight.of(log).records.count == 3)
        }
    }
}
