import ArgumentParser
import Glibc
import MappedLog
import MappedLogTestSupport
import _CTestSupport

/// Appends one record in place, and sends itself a signal in the middle of it, with the append lock held.
struct AppendAndStop: ParsableCommand {
    @OptionGroup var place: Place
    @OptionGroup var opening: Opening
    @Option var entry: Int
    @Option var writer: UInt32
    @Option var signal = SIGSTOP
    /// How long the lock is held before the signal, in nanoseconds.
    @Option var hold: UInt64 = 0

    func run() throws {
        let board = try place.openBoard()
        let log = try opening.open(place.path)
        say("ready")
        while board[.go] == 0 { test_sleep_ns(100_000) }
        let counter = board[entry, .begun]
        board[entry, .begun] = counter + 1
        let size = test_record_size(writer, counter, 400)
        try log.append(reserving: 2 * size) { output in
            unsafe output.withUnsafeMutableBytes { bytes, used in
                unsafe test_record_fill(bytes.baseAddress, size, writer, counter)
                // What a repair has to zero lies in the reserved part behind the record too.
                unsafe memset(bytes.baseAddress! + size, 0xFF, size)
                if hold != 0 { test_sleep_ns(hold) }
                board[.deathTime] = test_now_ns()
                board[.signal] = 1
                raise(signal)
                used = size
            }
        }
        board[entry, .acknowledged] = counter + 1
        try log.close()
        say("done")
    }
}
