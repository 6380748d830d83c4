import ArgumentParser

/// Where benchmarks keep their logs.
enum BenchMedium: String, ExpressibleByArgument, CaseIterable {
    /// Files under `--dir`.
    case file
}
