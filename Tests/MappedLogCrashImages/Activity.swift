/// What a recorded run is at when the power is cut, or has just done.
public enum Activity: String, CaseIterable, Sendable {
    case creation
    /// The open behind another power cut, or behind the death of a process.
    case recovery
    case append
    case batch
    /// An append that goes on in the next segment.
    case roll
    case sync
    /// A death inside an append or a flush, a flush that failed, an append that was taken back; and what follows.
    case mishap
    case compaction
    /// Of compacted segments, to raw ones.
    case restoring
    case retention
    case namedTailer = "named tailer"
    /// A clean close, and the open behind it.
    case close
}
