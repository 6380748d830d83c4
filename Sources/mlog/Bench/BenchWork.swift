import ArgumentParser

/// A kind of work that `mlog bench` measures.
enum BenchWork: String, CaseIterable {
    case append
    case batch
    case concurrent
    case durable
    case group
    case scan
    case tail
    case latency
    case seek
    case compact
    case open

    /// More would take hours; segments, where logs are opened.
    var mostRecords: Int {
        switch self {
        case .durable, .tail: 100_000
        case .open: 10_000
        default: 1_000_000_000
        }
    }

    /// Whether a picture shows it: a throughput by record size, or percentiles.
    var isDrawn: Bool {
        switch self {
        case .group, .seek, .compact: false
        default: true
        }
    }

    static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

/// One kind of work, or all.
enum BenchSelection: ExpressibleByArgument {
    case one(BenchWork)
    case all

    init?(argument: String) {
        if argument == "all" {
            self = .all
        } else if let work = BenchWork(rawValue: argument) {
            self = .one(work)
        } else {
            return nil
        }
    }

    static var allValueStrings: [String] { BenchWork.allCases.map(\.rawValue) + ["all"] }

    var defaultValueDescription: String {
        switch self {
        case .one(let work): work.rawValue
        case .all: "all"
        }
    }

    var works: [BenchWork] {
        switch self {
        case .one(let work): [work]
        case .all: BenchWork.allCases
        }
    }
}
