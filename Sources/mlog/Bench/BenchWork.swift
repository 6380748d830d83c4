import ArgumentParser

/// A kind of work that `mlog bench` measures.
enum BenchWork: String, CaseIterable {
    case seek
    case compact

    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// What lines call it, behind `mlog.`.
    var lineName: String { rawValue }
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
