/// What a second process of a benchmark does, once all is ready.
protocol WorkerWork {
    func run() throws -> WorkerReport
}
