import ArgumentParser
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// Appends and syncs until that fails, then sees what the log still does.
struct FailToSync: ParsableCommand {
    @OptionGroup var place: Place
    @Option var entry: Int
    /// Only waits until others have found the disk failing.
    @Flag var onlyWatches = false
    /// Appends and flushes so many records before it is ready.
    @Option var before: UInt64 = 0

    func run() throws {
        let board = try place.openBoard()
        let log = try Log.open(at: place.path, opening: OpenOptions(durability: .never))
        for counter in 0..<before {
            try log.append([UInt8].record(writer: 0, counter: counter, byteCount: 200))
            try log.sync()
            board[entry, .acknowledged] = counter + 1
        }
        say("ready")
        while board[onlyWatches ? .signal : .go] == 0 { test_sleep_ns(1_000_000) }
        if !onlyWatches { say("sync: \(fill(log, board))") }
        // In this process and in all others nothing more is acknowledged.
        say("append: \(code { try log.append([1]) })")
        say("again: \(code { try log.sync() })")
        // A file system that gave up may refuse even this; but it is an error, and not the end of the process.
        say("read: \(code { board[entry, .read] = try count(log) })")
        say("close: \(code { try log.close() })")
    }

    private func count(_ log: Log) throws -> UInt64 {
        var tailer = try log.tailer()
        var count: UInt64 = 0
        while try tailer.next() != nil { count += 1 }
        return count
    }

    private func fill(_ log: Log, _ board: Board) -> String {
        var counter = board[entry, .acknowledged]
        for _ in 0..<4000 {
            let failure = code {
                try log.append([UInt8].record(writer: 0, counter: counter, byteCount: 20_000))
                counter += 1
                board[entry, .acknowledged] = counter
                if counter % 8 == 0 {
                    try log.sync()
                    board[entry, .start] = counter
                }
            }
            if failure != "done" { return failure }
        }
        return "never failed"
    }

    private func code(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "done"
        } catch { return (error as? LogError)?.code.rawValue ?? "\(error)" }
    }
}
