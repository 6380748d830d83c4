/// What a worker does between its two marks (`operate`), to be killed in it or to have system calls of it fail.
public enum TracedOperation: String, CaseIterable, Sendable {
    case append
    case inPlace
    case batch
    /// An append for which the segment has no more room.
    case roll
    /// `sync()`, behind an append before the first mark.
    case sync
    /// An append that is flushed before it returns.
    case flushedAppend
    /// Opening the log for writing: as the first writer this is recovery.
    case open
    case close
    case create
    /// A durable commit of a named tailer.
    case commit
    case compact
    case restore
    case retain
    case snapshot

    /// How many records it appends, all or none of which must be there if it is killed.
    public var recordCount: Int {
        switch self {
        case .append, .inPlace, .roll, .flushedAppend: 1
        case .batch: 3
        default: 0
        }
    }

    /// Whether it is few instructions, so that each can be stepped through; else it is followed by system calls.
    public var isShort: Bool {
        switch self {
        case .append, .inPlace, .batch, .roll, .sync, .flushedAppend, .commit: true
        default: false
        }
    }

    /// Whether another process may have the log open for writing meanwhile: both, or neither where there is no log yet.
    public var companies: [Bool] { self == .create ? [false] : [true, false] }

    /// The writer whose records a traced worker appends.
    public static let writer: UInt32 = 1
    /// The largest payload of these.
    public static let largestPayload = 120
    /// Of the log on which it runs; several segments are made and removed.
    public static let segmentSize: UInt64 = 64 << 10
    /// The name of the tailer of `commit`.
    public static let tailerName = "traced"
}
