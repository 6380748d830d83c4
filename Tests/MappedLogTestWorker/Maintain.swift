import ArgumentParser
import Foundation
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// Compacts, restores, removes, copies and verifies, one after the other, until it is told to stop.
struct Maintain: ParsableCommand {
    @OptionGroup var place: Place
    /// Where copies go.
    @Option var copies: String
    /// How many segments retention leaves.
    @Option var segments = 4
    /// Copies only.
    @Flag var onlyCopies = false

    func run() throws {
        let board = try place.openBoard()
        let destination = FilePath(copies).appending("copy-\(ProcessInfo.processInfo.processIdentifier)")
        say("ready")
        for round in 0... where board[.stop] == 0 {
            if onlyCopies {
                try copy(to: destination)
                continue
            }
            try attempt { _ = try Compactor.compact(at: place.path) }
            try attempt { _ = try Maintenance.retain(at: place.path, rule: Retention(segments: segments)) }
            if round % 4 == 1 { try attempt { _ = try Compactor.restore(at: place.path) } }
            if round % 4 == 3 { try copy(to: destination) }
        }
        say("done")
    }

    private func copy(to destination: FilePath) throws {
        try attempt { _ = try Maintenance.snapshot(at: place.path, to: destination) }
        guard FileManager.default.fileExists(atPath: destination.string) else { return }
        guard try Maintenance.verify(at: destination).isWhole else { throw Refuted("a copy isn't whole") }
        try FileManager.default.removeItem(atPath: destination.string)
    }

    /// Others may be at it; that is no failure.
    private func attempt(_ body: () throws -> Void) throws {
        do { try body() } catch let error as LogError where error.code == .compacting || error.code == .recovering {}
    }
}

/// Takes every lock that it can get, on every file of the log that it can open, and holds them for a moment.
struct TakeLocks: ParsableCommand {
    @OptionGroup var place: Place
    /// Opens for reading only, as who may not write.
    @Flag var readOnly = false
    /// How long it holds them, in nanoseconds.
    @Option var hold: UInt64 = 3_000_000

    func run() throws {
        let board = try place.openBoard()
        say("ready")
        var taken: UInt64 = 0
        while board[.stop] == 0 {
            var files: [FileDescriptor] = []
            let paths = (try? FileManager.default.subpathsOfDirectory(atPath: place.log)) ?? []
            for path in [""] + paths {
                let file = place.path.appending(path)
                let modes: [FileDescriptor.AccessMode] = readOnly ? [.readOnly] : [.readWrite, .readOnly]
                for mode in modes {
                    guard let opened = try? FileDescriptor.open(file, mode) else { continue }
                    files.append(opened)
                    taken += UInt64(test_take_locks(opened.rawValue))
                    break
                }
            }
            board[.locks] = taken
            test_sleep_ns(hold)
            for file in files { try? file.close() }
            test_sleep_ns(hold)
        }
        say("done")
    }
}
