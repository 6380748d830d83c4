import Foundation
import MappedLog
import SystemPackage

// Usage: swift run -c release MappedLogBenchmarks [DIRECTORY]
// Times are nanoseconds a record, medians of five, with ratios to a file written by hand in the same run.

func removeTree(_ path: FilePath) throws {
    try FileManager.default.removeItem(atPath: path.string)
}

let parent = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : FileManager.default.temporaryDirectory.path
let directory = FilePath(parent).appending("mapped-log-benchmarks-\(getpid())")
try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
defer { try? removeTree(directory) }

func log(_ path: FilePath) throws -> Log {
    try Log.create(at: path, options: LogOptions(durability: .never))
}

func benchmarks(_ payload: [UInt8], records: Int) -> [(reference: Int?, Benchmark)] {
    let batch = Array(repeating: payload, count: 100)
    return [
        (
            nil,
            Benchmark(name: "hand-made file, buffered", records: records) { path in
                let work = {
                    var file = try HandMadeFile(path)
                    for _ in 0..<records { try file.append(payload) }
                }
                return (work, nil)
            }
        ),
        (
            0,
            Benchmark(name: "append, one by one", records: records) { path in
                let log = try log(path)
                return ({ for _ in 0..<records { try log.append(payload) } }, log)
            }
        ),
        (
            0,
            Benchmark(name: "append, batches of 100", records: records) { path in
                let log = try log(path)
                return ({ for _ in 0..<records / 100 { try log.append(batch: batch) } }, log)
            }
        ),
        (
            0,
            Benchmark(name: "tail, checksums on", records: records) { path in
                let log = try log(path)
                for _ in 0..<records / 100 { try log.append(batch: batch) }
                let work = {
                    var tailer = try log.tailer()
                    while try tailer.next() != nil {}
                }
                return (work, log)
            }
        ),
        (
            nil,
            Benchmark(name: "hand-made file, fdatasync each", records: 200) { path in
                let work = {
                    var file = try HandMadeFile(path)
                    for _ in 0..<200 {
                        try file.append(payload)
                        try file.sync()
                    }
                }
                return (work, nil)
            }
        ),
        (
            4,
            Benchmark(name: "append, sync each", records: 200) { path in
                let log = try Log.create(at: path, options: LogOptions(durability: .everyAppend))
                return ({ for _ in 0..<200 { try log.append(payload) } }, log)
            }
        ),
    ]
}

print("| record | work | ns a record | min | max | × the hand-made file |\n|---|---|---:|---:|---:|---:|")
for size in [64, 1024] {
    let payload = (0..<size).map { _ in UInt8.random(in: .min ... .max) }
    var medians: [Double] = []
    for (reference, benchmark) in benchmarks(payload, records: size == 64 ? 2_000_000 : 400_000) {
        let figures = try benchmark.run(in: directory)
        medians.append(figures.median)
        let ratio = reference.map { String(format: "%.2f", figures.median / medians[$0]) } ?? ""
        let numbers = [figures.median, figures.smallest, figures.largest].map { String(format: "%.0f", $0) }
        print("| \(size) B | \(benchmark.name) | \(numbers.joined(separator: " | ")) | \(ratio) |")
    }
}
