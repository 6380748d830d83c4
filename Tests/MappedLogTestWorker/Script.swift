import ArgumentParser
import Foundation
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// Does everything once, whatever fails: what fails is said, and what succeeds is put down on the board.
///
/// Never exits but with status 0, or 5 where it was told something that can't be so.
struct Script: ParsableCommand {
    @OptionGroup var place: Place
    /// The board's entry of its named tailer; those behind it are its records'.
    @Option var entry: Int
    @Option var copy: String
    /// Begins with a first mark, behind which system calls may fail.
    @Flag var marks = false

    private static let rounds = 3

    func run() throws {
        let board = try place.openBoard()
        let state = State(command: self, board: board)
        if marks { test_mark() }
        for round in 0..<Self.rounds { state.round(round) }
        say("done")
        if let wrong = state.wrong {
            say("wrong: \(wrong)")
            throw ExitCode(5)
        }
    }

    private final class State {
        let command: Script
        let board: Board
        var log: Log?
        var wrong: String?
        private var next: UInt64 = 0
        private var calls = 0
        var path: FilePath { command.place.path }

        init(command: Script, board: Board) {
            self.command = command
            self.board = board
        }

        func round(_ round: Int) {
            attempt(.open) {
                log = try Log.openOrCreate(
                    at: path,
                    options: LogOptions(segmentSize: 64 << 10, durability: .never),
                    opening: OpenOptions(durability: round == 1 ? .everyAppend : .never)
                )
            }
            // 30 kB a round: the segments roll.
            for number in 0..<14 {
                append(number % 5 == 4 ? 3 : 1, largest: number % 3 == 0 ? 6000 : 500)
                if number == 9 { sync() }
            }
            attempt(.tail) { try tail() }
            attempt(.commit) { try commit() }
            attempt(.compact) { _ = try Compactor.compact(at: path) }
            attempt(.retain) { _ = try Maintenance.retain(at: path, rule: Retention(segments: 2)) }
            attempt(.info) { _ = try Log.openReadOnly(at: path).info() }
            if round == 1 {
                attempt(.snapshot) {
                    _ = try Maintenance.snapshot(at: path, to: FilePath(command.copy))
                    board[.signal] = 1
                }
                attempt(.restore) { _ = try Compactor.restore(at: path) }
            }
            append(1, largest: 100)
            attempt(.close) { try log?.close() }
            log = nil
        }

        /// What throws a `LogError` has failed, as it may; anything else is wrong.
        func attempt(_ name: ScriptStep, _ body: () throws -> Void) {
            let (number, start) = (calls, test_now_ns())
            calls += 1
            var end = ScriptStep.End.underWay
            board.note(number, name, from: start, to: .max, end)
            defer { board.note(number, name, from: start, to: test_now_ns(), end) }
            do {
                try body()
                end = .succeeded
            } catch let error as LogError {
                end = error.code == .poisoned ? .poisoned : .failed
                say("\(name): \(error.code.rawValue) \(error)")
                // Nothing on the disk was changed by anybody; what it can't read counts as damaged too.
                let codes: Set<LogError.Code> = [
                    .damaged, .missingSegment, .truncatedSegment, .badMagic, .foreignSegment,
                ]
                if codes.contains(error.code), !"\(error)".contains("Input/output error") {
                    wrong = wrong ?? "\(name): \(error)"
                }
            } catch {
                end = .failed
                wrong = wrong ?? "\(name): \(error)"
            }
        }

        func append(_ count: UInt64, largest: Int) {
            guard let log else { return }
            // A counter is used once, whether it succeeds or not; each record has an entry of the board.
            let first = next
            next += count
            let payloads = (first..<first + count).map { [UInt8].record(writer: 0, counter: $0, largest: largest) }
            attempt(.append) {
                if count > 1 {
                    try log.append(batch: payloads)
                } else {
                    try log.append(payloads[0])
                }
                for counter in first..<first + count { board[command.entry + 1 + Int(counter), .acknowledged] = 1 }
            }
        }

        func sync() {
            attempt(.sync) {
                guard let log else { return }
                try log.sync()
                guard try log.durablePosition == log.endPosition else {
                    throw Refuted("sync() left the end not durable")
                }
            }
        }

        func tail() throws {
            let log = try self.log ?? Log.openReadOnly(at: path)
            var tailer = try log.tailer()
            var sequence = tailer.sequence
            while let record = try tailer.next() {
                guard record.sequence == sequence, RecordName(record) != nil else {
                    throw Refuted("sequence \(record.sequence) where \(sequence) was due, or not what was appended")
                }
                sequence += 1
            }
        }

        func commit() throws {
            let log = try self.log ?? Log.openReadOnly(at: path)
            var tailer = try log.tailer(named: "kept", protecting: true)
            for _ in 0..<4 { if try tailer.next() == nil { break } }
            try tailer.commit()
            board[command.entry, .read] = tailer.tailer.sequence
        }
    }
}
