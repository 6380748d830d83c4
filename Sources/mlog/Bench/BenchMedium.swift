import ArgumentParser

/// Where benchmarks keep their logs.
enum BenchMedium: String, ExpressibleByArgument, CaseIterable {
    /// Files under `--dir`.
    case file
    /// POSIX shared memory.
    case shm
    /// System V shared memory.
    case sysv

    /// What can be measured there: in memory nothing is flushed or compacted.
    var works: [BenchWork] {
        switch self {
        case .file: BenchWork.allCases
        case .shm, .sysv: [.append, .batch, .concurrent, .tail, .latency]
        }
    }
}
