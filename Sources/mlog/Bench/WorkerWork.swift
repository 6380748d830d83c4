/// What a second process of a benchmark does, once all is ready.
protocol WorkerWork {
    /// What comes before each run, and isn't counted.
    mutating func prepare() throws

    mutating func run() throws -> WorkerReport
}

extension WorkerWork {
    func prepare() {}
}
