import MappedLog
import SystemPackage

/// One kind of work, timed several times; the median counts.
struct Benchmark {
    let name: String
    let records: Int
    /// Called anew for each repetition; sets up, and returns the work to be timed and what is to be closed behind it.
    let prepare: (FilePath) throws -> (work: () throws -> Void, log: Log?)

    /// Nanoseconds a record: smallest, median, largest.
    struct Figures {
        let smallest: Double
        let median: Double
        let largest: Double
    }

    func run(in directory: FilePath, repetitions: Int = 5) throws -> Figures {
        var figures: [Double] = []
        for repetition in 0..<repetitions {
            let path = directory.appending("\(repetition)")
            let (work, log) = try prepare(path)
            let duration = try ContinuousClock().measure(work)
            try log?.close()
            figures.append(duration / .nanoseconds(1) / Double(records))
            try removeTree(path)
        }
        figures.sort()
        return Figures(smallest: figures[0], median: figures[repetitions / 2], largest: figures[repetitions - 1])
    }
}
