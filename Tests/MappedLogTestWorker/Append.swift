import ArgumentParser
import Foundation
import MappedLog
import MappedLogTestSupport
import Synchronization
import _CTestSupport

/// Appends with several threads, and keeps on the board what was begun and what was acknowledged.
struct Append: ParsableCommand {
    enum Mix: String, ExpressibleByArgument {
        case plain
        case inPlace
        case batch
        case mixed
    }

    @OptionGroup var place: Place
    @OptionGroup var opening: Opening
    /// The board's entry of the first thread; the next have the next.
    @Option var entry: Int
    /// The writer id of the first thread; the next have the next.
    @Option var writer: UInt32
    @Option var threads = 1
    /// How many records each thread appends in each round, or until it is told to stop.
    @Option var count = UInt64(Int64.max)
    /// How often the log is opened, appended to and closed.
    @Option var rounds = 1
    @Option var mix = Mix.plain
    @Option var largest = 200
    @Option var longestBatch: UInt64 = 8
    /// How long to rest between two appends, in nanoseconds.
    @Option var pace: UInt64 = 0

    func run() throws {
        let board = try place.openBoard()
        for _ in 0..<rounds {
            let log = try opening.open(place.path)
            say("ready")
            let failures = Failures()
            let done = DispatchSemaphore(value: 0)
            for number in 0..<threads {
                let thread = AppendingThread(command: self, board: board, log: log, number: number)
                Thread.detachNewThread {
                    do throws(LogError) { try thread.run() } catch { failures.add(error) }
                    done.signal()
                }
            }
            for _ in 0..<threads { done.wait() }
            if let failure = failures.first { throw failure }
            try log.close()
        }
        say("done")
    }
}

private final class Failures: Sendable {
    private let failures = Mutex<[LogError]>([])

    func add(_ failure: LogError) { failures.withLock { $0.append(failure) } }
    var first: LogError? { failures.withLock { $0.first } }
}

/// One thread's appends of one round.
private struct AppendingThread: Sendable {
    let command: Append
    let board: Board
    let log: Log
    let number: Int

    private var entry: Int { command.entry + number }
    private var writer: UInt32 { command.writer + UInt32(number) }

    func run() throws(LogError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: command.largest, alignment: 8)
        defer { unsafe buffer.deallocate() }
        var counter = board[entry, .begun]
        let end = counter &+ command.count
        var last = test_now_ns()
        var longest: UInt64 = 0
        var death: UInt64 = 0
        while counter < end, board[.stop] == 0 {
            let count = batchCount(counter, end)
            board[entry, .begun] = counter + count
            do throws(LogError) {
                unsafe try append(counter, count, buffer)
            } catch  where error.code == .writerStalled {
                board[entry, .stalls] += 1
                continue
            }
            counter += count
            board[entry, .acknowledged] = counter
            let now = test_now_ns()
            if board[.deathTime] != death {
                death = board[.deathTime]
                board[entry, .firstBehindDeath] = now
            }
            if board[entry, .longestGap] == 0 { longest = 0 }
            if now - last > longest {
                longest = now - last
                board[entry, .longestGap] = longest
            }
            last = now
            if command.pace != 0 {
                test_sleep_ns(command.pace)
                last = test_now_ns()
            }
        }
    }

    private func choice(_ counter: UInt64) -> UInt64 {
        test_digest(UInt64(writer) &+ 77, counter)
    }

    private func batchCount(_ counter: UInt64, _ end: UInt64) -> UInt64 {
        guard command.mix == .batch || command.mix == .mixed && choice(counter) % 4 == 0 else { return 1 }
        return min(2 + (choice(counter) >> 8) % (command.longestBatch - 1), end - counter)
    }

    private func append(
        _ counter: UInt64,
        _ count: UInt64,
        _ buffer: UnsafeMutableRawBufferPointer
    ) throws(LogError) {
        if count > 1 {
            let payloads = (0..<count).map { number in
                let size = test_record_size(writer, counter + number, command.largest)
                return unsafe [UInt8](unsafeUninitializedCapacity: size) { bytes, used in
                    unsafe test_record_fill(bytes.baseAddress, size, writer, counter + number)
                    used = size
                }
            }
            try log.append(batch: payloads)
            return
        }
        let size = test_record_size(writer, counter, command.largest)
        if command.mix == .inPlace || command.mix == .mixed && choice(counter) % 4 == 1 {
            // More is reserved than used, now and then.
            try log.append(reserving: size + Int(choice(counter) >> 16 & 63)) { output in
                unsafe output.withUnsafeMutableBytes { bytes, used in
                    unsafe test_record_fill(bytes.baseAddress, size, writer, counter)
                    used = size
                }
            }
        } else {
            unsafe test_record_fill(buffer.baseAddress, size, writer, counter)
            let bytes = unsafe RawSpan(_unsafeStart: buffer.baseAddress!, byteCount: size)
            try log.append(bytes)
        }
    }
}
