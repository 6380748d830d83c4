/// How far ``Maintenance/verify(at:progress:)`` has come.
public struct VerifyProgress: Hashable, Sendable {
    /// How many bytes of segments were looked at.
    public let bytesDone: UInt64
    /// How many bytes of segments there are.
    public let bytesTotal: UInt64
}
