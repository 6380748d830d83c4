import SystemPackage
import Testing

@testable import MappedLog
@testable import MappedLogCrashImages

extension CrashImageTests {
    /// What isn't durable of a sealed segment is a sync's to flush; what is has been flushed, and costs no second one.
    @Test func `a sync over a roll flushes both segments and the names, and what was flushed not again`() throws {
        try withRoot { root in
            let options = LogOptions(segmentSize: 64 << 10, durability: .never)
            let log = try Log.create(at: root.appending("log"), options: options)
            let writer = try #require(log.writer)
            writer.housekeeper.end()
            func fill(_ segment: UInt64) throws {
                let bytes = [UInt8](repeating: 7, count: 20_000)
                while try log.append(bytes).position.rawValue < segment << 16 {}
            }
            let names = (0..<4).map { (UInt64($0) << 16).hexadecimal(digits: 16) + ".mlog" }
            try log.append([1])
            #expect(try flushes { try log.sync() } == [names[0]])
            try fill(1)
            #expect(try flushes { try log.sync() } == [names[0], names[1], "log"])
            try fill(2)
            #expect(try flushes { _ = try writer.flusher.flushSealed {} } == [names[1]])
            try fill(3)
            // Marked, but not between its pieces.
            let flushing = writer.appender.control.flushing
            let hasFlushed = try atNextFlush {
                #expect(flushing.load() == 1)
            } during: {
                try writer.flusher.flushSealed { #expect(flushing.load() == 0) }
            }
            #expect(hasFlushed)
            #expect(try flushes { try log.sync() } == [names[3], "log"])
            try log.close()
        }
    }
}
