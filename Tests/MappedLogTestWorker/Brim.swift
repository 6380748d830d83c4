import ArgumentParser
import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage

/// Fills `/dev/shm` to the brim beside a log that lives there, appends until there is no room, frees space, and goes on.
///
/// To be run where `/dev/shm` is a small file system of its own.
struct Brim: ParsableCommand {
    func run() throws {
        let filler = FilePath("/dev/shm/filler")
        let options = LogOptions(segmentSize: 64 << 10, retention: Retention(segments: 12))
        let log = try Log.create(at: "shm:brim", options: options)
        try fill(filler)
        var appended: UInt64 = 0
        func append() throws(LogError) {
            try log.append([UInt8](repeating: UInt8(truncatingIfNeeded: appended), count: 4000))
            appended += 1
        }
        var refusals = 0
        while refusals < 3 {
            do throws(LogError) { try append() } catch {
                guard error.code == .diskFull, error.advice.contains("--shm-size") else { throw error }
                refusals += 1
            }
            guard appended < 100 else { return say("no error after \(appended) appends") }
        }
        let before = appended
        unsafe unlink(filler.string)
        for _ in 0..<100 { try append() }
        // And again from full: then the bound is reached, and the log takes no more.
        for _ in 0..<200 { try append() }
        // What the log drops to prepare a segment is free for a moment, and would be taken from it.
        usleep(200_000)
        try fill(filler)
        for _ in 0..<200 { try append() }
        var tailer = try log.tailer()
        var expected = tailer.sequence
        while let record = try tailer.next() {
            let isWhole = record.payload.byteCount == 4000 && record.sequence == expected
            guard isWhole else { return say("a wrong record at \(expected)") }
            expected += 1
        }
        guard expected == appended, before > 10 else {
            return say("\(expected) of \(appended) records, \(before) before")
        }
        try log.close()
        say("done")
    }

    private func fill(_ path: FilePath) throws {
        let file = try FileDescriptor.open(path, .writeOnly, options: .create, permissions: .ownerReadWrite)
        defer { try? file.close() }
        try file.seek(offset: 0, from: .end)
        let page = [UInt8](repeating: 1, count: 4096)
        do { while true { _ = try file.writeAll(page) } } catch Errno.noSpace { return }
    }
}
