extension Log {
    /// A cursor over the log's records.
    ///
    /// - Parameters:
    ///   - start: Where it starts.
    ///   - visibility: Whether it sees all that is committed, or only what is durable.
    ///   - checksums: Whether it checks each record before it hands it out. Without it, damage goes unseen.
    /// - Throws: `outOfRange` for a sequence or position behind the end, or a position where no frame starts;
    ///   `recordsGone` for one before the first that is left; as ``openReadOnly(at:)``.
    /// - Returns: The tailer.
    public func tailer(
        from start: TailStart = .first,
        visibility: Visibility = .committed,
        checksums: Bool = true
    ) throws(LogError) -> Tailer {
        try Tailer.start(reader, start, visibility, checksums: checksums)
    }

    /// The log's records as an `AsyncSequence` that follows the log, until its task is cancelled.
    ///
    /// - Parameters:
    ///   - start: Where it starts.
    ///   - visibility: Whether it sees all that is committed, or only what is durable.
    /// - Returns: The sequence.
    public func records(from start: TailStart = .first, visibility: Visibility = .committed) -> RecordStream {
        RecordStream(reader: reader, start: start, visibility: visibility)
    }

    /// A tailer whose place is kept in the log under a name.
    ///
    /// Needs write permission for the log's `tailers/`.
    ///
    /// - Parameters:
    ///   - name: 1 to 64 of `A–Z a–z 0–9 . _ -`, the first a letter or digit.
    ///   - start: Where it starts when it has never committed a place.
    ///   - visibility: Whether it sees all that is committed, or only what is durable.
    ///   - checksums: Whether it checks each record before it hands it out.
    /// - Throws: `tailerInUse` while another has it open; `invalidName`; `damaged` when its file is;
    ///   `permissionDenied`; as ``tailer(from:visibility:checksums:)``.
    /// - Returns: The tailer.
    public func tailer(
        named name: String,
        startingAt start: TailStart = .first,
        visibility: Visibility = .committed,
        checksums: Bool = true
    ) throws(LogError) -> NamedTailer {
        let reader = try checkedReader()
        let file = try lockedTailerFile(name, create: true)
        let place = try file.place
        let tailer = try Tailer.start(
            reader,
            place.map { .position(Position(rawValue: $0.position)) } ?? start,
            visibility,
            checksums: checksums
        )
        let named = NamedTailer(name, tailer, file)
        // From the first moment on it is there, to be seen and to be kept in view.
        if place == nil { try named.commit() }
        return named
    }

    /// The named tailers, in order of their names.
    ///
    /// - Throws: `damaged`, `permissionDenied`, `io`.
    /// - Returns: Name, place and state of each.
    public func namedTailers() throws(LogError) -> [NamedTailerInfo] {
        let reader = try checkedReader()
        let end = try reader.end()
        var infos: [NamedTailerInfo] = []
        for name in try reader.log.medium.namedTailerNames() {
            let file = try NamedTailerFile(name, in: reader.log, create: false, writable: false)
            guard let place = try file.place else { continue }
            infos.append(
                NamedTailerInfo(
                    name: name,
                    position: place.position,
                    sequence: place.sequence,
                    lag: end.sequence - min(end.sequence, place.sequence),
                    isOpen: try file.isLocked()
                )
            )
        }
        return infos
    }

    /// Forgets a named tailer.
    ///
    /// - Parameter name: Its name.
    /// - Throws: `notFound`, `invalidName`, `tailerInUse`, `permissionDenied`, `io`.
    public func removeNamedTailer(_ name: String) throws(LogError) {
        _ = try lockedTailerFile(name, create: false)
        try checkedReader().log.medium.removeNamedTailer(name)
    }

    /// Moves a named tailer; makes it if there is none.
    ///
    /// Durable when it returns.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - start: Where it is to go on.
    /// - Throws: `invalidName`, `tailerInUse`, `permissionDenied`; as ``tailer(from:visibility:checksums:)``.
    public func resetNamedTailer(_ name: String, to start: TailStart) throws(LogError) {
        let place = try Seek(checkedReader()).place(start)
        let file = try lockedTailerFile(name, create: true)
        try file.store(.init(position: place.nextPosition, sequence: place.sequence), durably: true)
    }

    private func lockedTailerFile(_ name: String, create: Bool) throws(LogError) -> NamedTailerFile {
        let file = try NamedTailerFile(name, in: checkedReader().log, create: create, writable: true)
        guard try file.tryLock() else {
            throw LogError(
                .tailerInUse,
                file: file.file.path,
                advice: "close it where it is open, or use another name"
            )
        }
        return file
    }
}
