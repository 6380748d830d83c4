import FoundationEssentials

/// A second process of a benchmark, which is this program once more.
struct Worker {
    private let process: SpawnedProcess

    /// Starts it, and waits until it is ready to do what it is ordered.
    init(_ order: WorkerOrder) throws {
        let text = String(decoding: try JSONEncoder().encode(order), as: UTF8.self)
        process = try SpawnedProcess(["/proc/self/exe", "bench-worker", text])
        let answer = try process.line()
        guard answer == "ready" else { throw CommandFailure("a worker is not ready, but says: \(answer)") }
    }

    /// Lets it begin.
    func go() throws {
        try process.goOn()
    }

    /// Waits until it is done.
    func report() throws -> WorkerReport {
        let report = try JSONDecoder().decode(WorkerReport.self, from: Data(process.line().utf8))
        try process.end()
        return report
    }
}
