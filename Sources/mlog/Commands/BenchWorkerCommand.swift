import ArgumentParser
import FoundationEssentials
import SystemPackage

/// `mlog bench-worker`: the other process of a benchmark; of no use by itself.
struct BenchWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-worker",
        abstract: "What 'mlog bench' starts where it needs a second process.",
        shouldDisplay: false
    )

    @Argument var order: String

    func run() throws {
        let order = try JSONDecoder().decode(WorkerOrder.self, from: Data(order.utf8))
        switch order {
        case .seek(let log, let count): try run(SeekWorker(log: log, count: count))
        }
    }

    private func run(_ worker: some WorkerWork) throws {
        try FileDescriptor.standardOutput.writeAll("ready\n".utf8)
        // The end of the parent ends it too.
        guard readLine() != nil else { return }
        try JSONReport.printLine(worker.run())
    }
}
