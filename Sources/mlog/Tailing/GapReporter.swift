import MappedLog

/// Tells of records that are gone, once for each gap.
struct GapReporter {
    private var last: LogError?

    /// Whether there was anything to tell.
    var wereReported: Bool { last != nil }

    /// Says on standard error which records are gone.
    mutating func report(_ error: LogError) {
        last = error
        let place = error.position.map { " before position \($0.rawValue)" } ?? ""
        let records =
            switch error.goneSequences {
            case .some(let gone) where gone.upperBound - gone.lowerBound == 1: "record \(gone.lowerBound) is"
            case .some(let gone) where !gone.isEmpty: "records \(gone.lowerBound) to \(gone.upperBound - 1) are"
            default: "records are"
            }
        ExitStatus.complain("\(records) gone from the log\(place); going on behind the gap")
    }

    /// Reports a gap that a tailer has come over.
    ///
    /// - Throws: Any other error, and that of a gap that was told already: who gets it twice doesn't get over it.
    mutating func pass(_ error: LogError) throws(LogError) {
        guard error.code == .recordsGone else { throw error }
        if let last, last.position == error.position, last.goneSequences == error.goneSequences { throw error }
        report(error)
    }
}
