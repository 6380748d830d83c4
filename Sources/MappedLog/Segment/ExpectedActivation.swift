/// What the walk of a segment says of the activation line of the one behind it (`spec/format.md`, 4.2).
struct ExpectedActivation: Sendable {
    let baseSequence: UInt64
    let largestTimestampBefore: Int64
    /// A record that is gone may have had a larger timestamp.
    let mayBeLarger: Bool

    init(baseSequence: UInt64, largestTimestampBefore: Int64, mayBeLarger: Bool) {
        self.baseSequence = baseSequence
        self.largestTimestampBefore = largestTimestampBefore
        self.mayBeLarger = mayBeLarger
    }

    /// Behind a walk from the start of a segment with this line to its `end` frame.
    init(behind walk: SegmentWalk, _ line: ActivationLine) {
        self.init(
            baseSequence: walk.sequence,
            largestTimestampBefore: max(line.largestTimestampBefore, walk.largestTimestamp),
            mayBeLarger: walk.hasLost
        )
    }

    func agrees(with line: ActivationLine) -> Bool {
        guard line.baseSequence == baseSequence else { return false }
        return line.largestTimestampBefore == largestTimestampBefore
            || mayBeLarger && line.largestTimestampBefore > largestTimestampBefore
    }

    var description: String {
        "an activation line with sequence \(baseSequence) and largest timestamp \(largestTimestampBefore)"
    }
}
