import ArgumentParser
import FoundationEssentials
import SystemPackage
import _CBench

/// `mlog bench-worker`: the other process of a benchmark; of no use by itself.
struct BenchWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-worker",
        abstract: "What 'mlog bench' starts where it needs a second process.",
        shouldDisplay: false
    )

    @Argument var order: String

    func run() throws {
        bench_follow_parent()
        switch try JSONDecoder().decode(WorkerOrder.self, from: Data(order.utf8)) {
        case .seek(let log, let count, let end):
            try run(SeekWorker(log: log, count: count, below: end))
        case .append(let log, let records, let recordBytes, let batch, let threads):
            let payloads = Payloads.random(size: recordBytes)
            try run(AppendWorker(log: log, records: records, payloads: payloads, batch: batch, threads: threads))
        case .scan(let log, let count):
            try run(ScanWorker(log: log, count: count))
        case .tail(let log, let records):
            try run(TailWorker(log: log, records: records))
        case .answer(let log, let answers, let records):
            try run(AnswerWorker(log: log, answers: answers, records: records))
        }
    }

    private func run(_ work: some WorkerWork) throws {
        var work = work
        try FileDescriptor.standardOutput.writeAll("ready\n".utf8)
        // The end of the parent ends it too.
        while let line = readLine(), let start = UInt64(line) {
            try work.prepare()
            ThreadClock.sleep(until: start)
            try JSONReport.printLine(work.run())
        }
    }
}
