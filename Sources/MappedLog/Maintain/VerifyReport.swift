/// What ``Maintenance/verify(at:progress:)`` found.
public struct VerifyReport: Codable, Hashable, Sendable {
    /// The log's identity.
    public internal(set) var id = ""
    /// All damage, in order of position; what concerns no position comes first.
    public internal(set) var findings: [Damage] = [] {
        didSet { isWhole = findings.isEmpty }
    }
    /// What is worth knowing and no damage: a torn tail, what an earlier repair wrote over.
    public internal(set) var notes: [VerifyNote] = []
    /// How many segments there are, prepared ones too.
    public internal(set) var segments = 0
    /// How many whole records were found before the end.
    public internal(set) var records: UInt64 = 0
    /// How many bytes of segments were looked at.
    public internal(set) var bytes: UInt64 = 0
    /// Everything before this position is known to be on the disk.
    public internal(set) var durablePosition: UInt64 = 0
    /// The end of the log: of a live one, where it was when the run began.
    public internal(set) var endPosition: UInt64 = 0
    /// The sequence of the next record behind the end; nil where damage hides it.
    public internal(set) var nextSequence: UInt64?
    /// Whether writers had the log open.
    public internal(set) var isLive = false

    /// Whether nothing is damaged.
    public internal(set) var isWhole = true
}
