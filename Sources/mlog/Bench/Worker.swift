import FoundationEssentials

/// A second process of a benchmark, which is this program once more.
struct Worker {
    private let process: SpawnedProcess

    /// Starts it, and waits until it is ready to do what it is ordered.
    init(_ order: WorkerOrder) throws {
        let text = String(decoding: try JSONEncoder().encode(order), as: UTF8.self)
        process = try SpawnedProcess(["/proc/self/exe", "bench-worker", text], called: "mlog bench-worker")
        let answer = try process.line()
        guard answer == "ready" else { throw CommandFailure("a worker is not ready, but says: \(answer)") }
    }

    /// Lets it begin, at a time of `ThreadClock`.
    func begin(at time: UInt64 = 0) throws {
        try process.write("\(time)\n")
    }

    /// Waits until it says that it looks for records.
    func awaitWaiting() throws {
        let answer = try process.line()
        guard answer == "waiting" else { throw CommandFailure("a worker doesn't wait, but says: \(answer)") }
    }

    /// Waits until it is done; then it may begin once more.
    func report() throws -> WorkerReport {
        try JSONDecoder().decode(WorkerReport.self, from: Data(process.line().utf8))
    }

    /// Lets it end.
    func end() throws {
        try process.end()
    }

    /// Does an order once.
    static func run(_ order: WorkerOrder) throws -> WorkerReport {
        let worker = try Worker(order)
        try worker.begin()
        let report = try worker.report()
        try worker.end()
        return report
    }

    /// Lets several begin at the same time, so many nanoseconds from now, in which they prepare.
    ///
    /// What they did is told as one report, from the first beginning to the last end.
    static func runTogether(_ workers: [Worker], after pause: UInt64 = 2_000_000) throws -> WorkerReport {
        let start = ThreadClock.now() + pause
        for worker in workers { try worker.begin(at: start) }
        var whole = WorkerReport(start: .max)
        for worker in workers { whole.add(try worker.report()) }
        return whole
    }
}
