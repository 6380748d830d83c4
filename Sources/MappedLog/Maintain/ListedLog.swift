/// A log in memory, as a list of them shows it.
///
/// Its JSON form is that of `mlog list --json`.
public struct ListedLog: Codable, Hashable, Sendable {
    /// What state it is in.
    public enum State: String, Codable, Sendable {
        /// It can be opened.
        case complete
        /// Its creation, or its removal, was interrupted.
        case unfinished
        /// It was last written before the machine was started the last time.
        case earlierBoot
    }

    /// The text form of its ``LogLocation``.
    public let location: String
    /// Where its segments live.
    public let medium: String
    /// What state it is in.
    public let state: State
    /// Its identity: a UUID; nil where that can't be read.
    public let id: String?
    /// How many bytes of memory it takes.
    public let bytes: UInt64
    /// How many opens for writing there are, in all processes.
    public let writers: Int
    /// Whether any process has a segment of it mapped.
    public let isAttached: Bool
}
