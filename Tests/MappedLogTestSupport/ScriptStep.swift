/// What a worker's `script` does, call by call, as the board keeps it.
public enum ScriptStep: UInt64, Sendable {
    case open = 1
    case append
    case sync
    case tail
    case commit
    case compact
    case retain
    case info
    case snapshot
    case restore
    case close

    /// How a call ended.
    public enum End: UInt64, Sendable {
        case underWay
        case succeeded
        case failed
        /// It failed with `poisoned`.
        case poisoned
    }

    /// One call of a script.
    public struct Row: Sendable {
        /// Which.
        public let step: ScriptStep
        /// From when to when: `test_now_ns()`.
        public let time: ClosedRange<UInt64>
        /// What came of it.
        public let end: End
    }
}

extension Board {
    // Behind the entries of a script's records.
    private static let firstRow = 1000

    /// Puts a script's call down, or what came of it.
    public func note(_ number: Int, _ step: ScriptStep, from start: UInt64, to end: UInt64, _ result: ScriptStep.End) {
        let entry = Self.firstRow + number
        self[entry, .begun] = start
        self[entry, .acknowledged] = end
        self[entry, .read] = result.rawValue
        self[entry, .start] = step.rawValue
    }

    /// All calls of a script, in order.
    public var scriptRows: [ScriptStep.Row] {
        var rows: [ScriptStep.Row] = []
        while let step = ScriptStep(rawValue: self[Self.firstRow + rows.count, .start]) {
            let entry = Self.firstRow + rows.count
            rows.append(
                ScriptStep.Row(
                    step: step,
                    time: self[entry, .begun]...max(self[entry, .begun], self[entry, .acknowledged]),
                    end: ScriptStep.End(rawValue: self[entry, .read]) ?? .failed
                )
            )
        }
        return rows
    }
}
