import ArgumentParser
import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// Tries everything that a process could do to a log whose files it may only read, and says what succeeded.
struct Neighbour: ParsableCommand {
    @OptionGroup var place: Place
    /// A writer's process.
    @Option var writer: Int32

    // With a descriptor for reading there are locks that can be taken.
    private static func isWritersOnly(_ name: String) -> Bool {
        name == "live/lock" || name == "live/waiters" || name.hasPrefix("tailers/")
    }

    func run() throws {
        let board = try place.openBoard()
        var tries: UInt64 = 0
        var succeeded: [String] = []
        func attempt(_ name: String, _ path: String, _ body: () -> Bool) {
            tries += 1
            if body() { succeeded.append("\(name) \(path)") }
        }
        let names = try FileManager.default.subpathsOfDirectory(atPath: place.log)
        for name in [""] + names {
            let path = name.isEmpty ? place.log : "\(place.log)/\(name)"
            let status = try? FileManager.default.attributesOfItem(atPath: path)
            for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND] {
                attempt("open \(flags)", path) { unsafe Glibc.open(path, flags) >= 0 }
            }
            if Self.isWritersOnly(name) {
                attempt("open for reading", path) { unsafe Glibc.open(path, O_RDONLY) >= 0 }
            }
            attempt("truncate", path) { unsafe truncate(path, 0) == 0 }
            attempt("unlink", path) { unsafe unlink(path) == 0 }
            attempt("rename", path) { unsafe rename(path, path + "-moved") == 0 }
            attempt("link", path) { unsafe link(path, place.log + "/linked") == 0 }
            attempt("chmod", path) { unsafe chmod(path, 0o777) == 0 }
            attempt("utimes", path) { unsafe utimes(path, nil) == 0 }
            if status?[.type] as? FileAttributeType == .typeDirectory {
                attempt("create in", path) { unsafe Glibc.open(path + "/made", O_CREAT | O_WRONLY, 0o600) >= 0 }
                attempt("symlink in", path) { unsafe symlink("/etc/passwd", path + "/made") == 0 }
                attempt("mkdir in", path) { unsafe mkdir(path + "/made", 0o700) == 0 }
            } else {
                attempt("map for writing", path) { unsafe test_map_for_writing(path) != 0 }
            }
        }
        attempt("kill", "\(writer)") { Glibc.kill(writer, SIGKILL) == 0 }
        attempt("stop", "\(writer)") { Glibc.kill(writer, SIGSTOP) == 0 }
        board[.tries] = tries
        say(succeeded.isEmpty ? "nothing succeeded" : "succeeded: \(succeeded.joined(separator: ", "))")
        // Wakes whoever waits on any word of what may be read, as long as it is told to.
        while board[.stop] == 0 {
            for name in names where name == "live/control" || name.hasSuffix(".mlog") {
                unsafe test_wake_all_words("\(place.log)/\(name)")
            }
        }
        say("done")
    }
}

/// Reads a stranger's log in every way, with little memory and little time.
struct ReadStranger: ParsableCommand {
    @Option var log: String

    func run() throws {
        guard test_limit(2 << 30, 20) == 0 else { throw ExitCode(4) }
        let path = FilePath(log)
        _ = try? Maintenance.verify(at: path)
        guard let log = try? Log.openReadOnly(at: path) else { return say("refused") }
        var isRefused = false
        _ = try? (log.info(), log.endPosition, log.nextSequence, log.durablePosition)
        _ = try? log.namedTailers()
        for start in [TailStart.first, .end, .sequence(3), .position(Position(rawValue: 4096)), .time(.now)] {
            guard var tailer = try? log.tailer(from: start) else {
                isRefused = true
                continue
            }
            var last: UInt64?
            var sum: UInt64 = 0
            do throws(LogError) {
                for _ in 0..<10_000 {
                    guard let record = try tailer.next() else { break }
                    if let last, record.sequence <= last { return say("\(record.sequence) behind \(last)") }
                    last = record.sequence
                    // Every byte is looked at.
                    for offset in record.payload.byteOffsets {
                        sum &+= UInt64(unsafe record.payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
                    }
                }
            } catch {
                isRefused = true
            }
            for _ in 0..<10_000 { guard (try? tailer.previous()) != nil else { break } }
        }
        say(isRefused ? "refused" : "read")
    }
}
