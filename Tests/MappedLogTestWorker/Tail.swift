import ArgumentParser
import Foundation
import MappedLog
import MappedLogTestSupport
import _CTestSupport

/// Tails from the first record until it has read as many as the board says, and reports what it saw.
struct Tail: ParsableCommand {
    @OptionGroup var place: Place
    /// The board's entry that says how many records were read.
    @Option var entry: Int
    @Option var report: String
    @Flag var readOnly = false
    @Flag var durable = false
    /// The records' counters are times: how long each was under way goes into the report.
    @Flag var latency = false
    /// Keeps retention from what it has yet to read, by a named tailer.
    @Option var protecting: String?

    func run() throws {
        let board = try place.openBoard()
        let log = try readOnly ? Log.openReadOnly(at: place.path) : Log.open(at: place.path)
        var tailer = try log.tailer(visibility: durable ? .durable : .committed)
        if let protecting {
            let place = try log.tailer(named: protecting, startingAt: .first, protecting: true)
            try place.commit(durably: false)
        }
        say("ready")
        var reading = Reading()
        while board[.target] == 0 || reading.report.records < board[.target] {
            guard try tailer.wait(upTo: .milliseconds(100)) else { continue }
            while let record = try tailer.next() {
                if latency { reading.noteLatency(record) }
                reading.note(record)
                if reading.report.records % 256 == 0 { board[entry, .read] = reading.report.records }
            }
            board[entry, .read] = reading.report.records
            if let protecting { try log.resetNamedTailer(protecting, to: .sequence(tailer.sequence)) }
        }
        if try tailer.next() != nil { reading.problem("a record behind the last") }
        reading.finish(nextSequence: tailer.sequence)
        try JSONEncoder().encode(reading.report).write(to: URL(fileURLWithPath: report))
        try log.close()
        say("done")
    }
}

/// Follows by a named tailer, to be killed and started again: what it committed is never behind what it said.
struct TailNamed: ParsableCommand {
    @OptionGroup var place: Place
    /// The board's entry that says up to which sequence it has committed.
    @Option var entry: Int
    @Option var name: String

    func run() throws {
        let board = try place.openBoard()
        let log = try Log.openReadOnly(at: place.path)
        var tailer = try log.tailer(named: name, startingAt: .first, protecting: true)
        var sequence = tailer.tailer.sequence
        guard sequence >= board[entry, .read] else {
            throw Refuted("\(name) goes on at \(sequence), and had committed \(board[entry, .read])")
        }
        say("ready")
        while board[.stop] == 0 {
            let isNew = board[entry, .read] == 0
            do {
                guard try tailer.wait(upTo: .milliseconds(20)) else { continue }
                if isNew { sequence = tailer.tailer.sequence }
                try read(&tailer, from: &sequence)
            } catch let error as LogError where isNew && error.code == .recordsGone {
                // Retention that was under way when the name was new may take what it starts with, at any moment.
                continue
            }
            try tailer.commit(durably: false)
            board[entry, .read] = sequence
        }
        say("done")
    }

    private func read(_ tailer: inout NamedTailer, from sequence: inout UInt64) throws {
        for _ in 0..<64 {
            guard let record = try tailer.next() else { break }
            guard record.sequence == sequence, RecordName(record) != nil else {
                throw Refuted("\(name) read \(record.sequence) where \(sequence) was due")
            }
            sequence += 1
        }
    }
}

/// Checks what comes, and keeps what the report needs.
private struct Reading {
    var report = TailReport()
    private var expectedSequence: UInt64 = 0
    private var lastPosition: UInt64?
    /// Of each writer the run that grows; indexed by writer id.
    private var running: [TailReport.Run?] = Array(repeating: nil, count: 4096)

    mutating func problem(_ text: String) {
        if report.problems.count < 20 { report.problems.append(text) }
    }

    mutating func note(_ record: borrowing Record) {
        report.records += 1
        let sequence = record.sequence
        let position = record.position.rawValue
        if sequence != expectedSequence { problem("sequence \(sequence) where \(expectedSequence) was due") }
        expectedSequence = sequence + 1
        if let lastPosition, position <= lastPosition { problem("position \(position) behind \(lastPosition)") }
        lastPosition = position
        var writer: UInt32 = 0
        var counter: UInt64 = 0
        let isWhole = unsafe record.payload.withUnsafeBytes { bytes in
            unsafe test_record_check(bytes.baseAddress, bytes.count, &writer, &counter) != 0
        }
        guard isWhole, writer < 4096 else {
            return problem("the payload of sequence \(sequence) at \(position) is not what was appended")
        }
        report.digest = test_digest(
            test_digest(report.digest, UInt64(writer) << 48 ^ counter),
            sequence ^ position << 20
        )
        if running[Int(writer)]?.end == counter {
            running[Int(writer)]?.end = counter + 1
        } else {
            finishRun(writer)
            running[Int(writer)] = TailReport.Run(first: counter, end: counter + 1)
        }
    }

    mutating func noteLatency(_ record: borrowing Record) {
        let now = test_now_ns()
        var writer: UInt32 = 0
        var time: UInt64 = 0
        _ = unsafe record.payload.withUnsafeBytes { bytes in
            unsafe test_record_check(bytes.baseAddress, bytes.count, &writer, &time)
        }
        report.latencies.append(now - min(time, now))
    }

    private mutating func finishRun(_ writer: UInt32) {
        if let run = running[Int(writer)] { report.runs[writer, default: []].append(run) }
    }

    mutating func finish(nextSequence: UInt64) {
        report.nextSequence = nextSequence
        for writer in running.indices { finishRun(UInt32(writer)) }
    }
}
