/// A tailer whose place is kept in the log, under a name: it goes on where it last committed, after any restart.
///
/// One process and task at a time may have it open. What was read since the last ``commit(durably:)`` is read again
/// after a crash. Get one from ``Log/tailer(named:startingAt:visibility:checksums:protecting:)``.
public struct NamedTailer: ~Copyable {
    /// The name, 1 to 64 characters.
    public let name: String
    /// The cursor.
    ///
    /// Read through it, or through the methods of the same names here.
    public var tailer: Tailer
    /// Whether retention removes nothing that it has yet to read.
    public let isProtecting: Bool
    private let file: NamedTailerFile

    init(_ name: String, _ tailer: consuming Tailer, _ file: NamedTailerFile, isProtecting: Bool) {
        self.name = name
        self.isProtecting = isProtecting
        self.tailer = tailer
        self.file = file
    }

    /// As ``Tailer/next()``.
    ///
    /// - Throws: As ``Tailer/next()``.
    /// - Returns: The record.
    @_lifetime(&self)
    public mutating func next() throws(LogError) -> Record? {
        try tailer.next()
    }

    /// As ``Tailer/wait(upTo:)``.
    ///
    /// - Parameter duration: How long at most.
    /// - Throws: As ``Tailer/wait(upTo:)``.
    /// - Returns: Whether there is something.
    public mutating func wait(upTo duration: Duration) throws(LogError) -> Bool {
        try tailer.wait(upTo: duration)
    }

    /// Keeps the place: everything before the cursor counts as done.
    ///
    /// - Parameter durably: Whether a crash of the machine must not take the place back; costs a flush.
    /// - Throws: `diskFull`, `io`, `forked`.
    public func commit(durably: Bool = true) throws(LogError) {
        let place = NamedTailerFile.Place(
            position: tailer.position.rawValue,
            sequence: tailer.sequence,
            isProtecting: isProtecting
        )
        try file.store(place, durably: durably)
    }
}

/// A named tailer as a list shows it.
public struct NamedTailerInfo: Hashable, Codable, Sendable {
    /// The name.
    public let name: String
    /// The position of the next frame it will read.
    public let position: UInt64
    /// The sequence of the next record it will read.
    public let sequence: UInt64
    /// How many records it has yet to read.
    public let lag: UInt64
    /// Whether some process has it open.
    public let isOpen: Bool
    /// Whether retention removes nothing that it has yet to read.
    public let protecting: Bool
}
