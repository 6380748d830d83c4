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
    /// Needs write permission for the log's `tailers/`. Where retention has removed the place that was committed, the
    /// first look for a record throws `recordsGone` with the sequences, and the next goes on at the first that is left;
    /// so may retention that is under way when a name is new do with the segment that it starts with, once.
    ///
    /// - Parameters:
    ///   - name: 1 to 64 of `A–Z a–z 0–9 . _ -`, the first a letter or digit.
    ///   - start: Where it starts when it has never committed a place.
    ///   - visibility: Whether it sees all that is committed, or only what is durable.
    ///   - checksums: Whether it checks each record before it hands it out.
    ///   - protecting: Whether retention is to remove nothing that it has yet to read, as far as it has committed; nil:
    ///     as it was, at first not. It is kept with the place.
    /// - Throws: `tailerInUse` while another has it open; `invalidName`; `damaged` when its file is;
    ///   `permissionDenied`; as ``tailer(from:visibility:checksums:)``.
    /// - Returns: The tailer.
    public func tailer(
        named name: String,
        startingAt start: TailStart = .first,
        visibility: Visibility = .committed,
        checksums: Bool = true,
        protecting: Bool? = nil
    ) throws(LogError) -> NamedTailer {
        let reader = try checkedReader()
        let file = try lockedTailerFile(name, create: true)
        let place = try file.place
        let isProtecting = protecting ?? place?.isProtecting ?? false
        if var place, place.isProtecting != isProtecting {
            place.isProtecting = isProtecting
            try file.store(place, durably: true)
        }
        let tailer: Tailer
        if let place {
            tailer = try Tailer.resume(reader, place, visibility, checksums: checksums)
        } else {
            tailer = try Tailer.start(reader, start, visibility, checksums: checksums)
        }
        let named = NamedTailer(name, tailer, file, isProtecting: isProtecting)
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
            let file: NamedTailerFile
            do throws(LogError) {
                file = try NamedTailerFile(name, in: reader.log, create: false, writable: false)
            } catch  where error.code == .notFound {
                continue
            }
            guard let place = try file.place else { continue }
            infos.append(
                NamedTailerInfo(
                    name: name,
                    position: place.position,
                    sequence: place.sequence,
                    lag: end.sequence - min(end.sequence, place.sequence),
                    isOpen: try file.isLocked(),
                    protecting: place.isProtecting
                )
            )
        }
        return infos
    }

    /// Forgets a named tailer, also one whose file is damaged.
    ///
    /// - Parameter name: Its name.
    /// - Throws: `notFound`, `invalidName`, `tailerInUse`, `permissionDenied`, `io`.
    public func removeNamedTailer(_ name: String) throws(LogError) {
        let file = try lockedTailerFile(name, create: false, acceptsAnyLength: true)
        defer { withExtendedLifetime(file) {} }
        try checkedReader().log.medium.removeNamedTailer(name)
    }

    /// Moves a named tailer; makes it if there is none, and makes it whole if its file is damaged.
    ///
    /// Durable when it returns.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - start: Where it is to go on.
    /// - Throws: `invalidName`, `tailerInUse`, `permissionDenied`; as ``tailer(from:visibility:checksums:)``.
    public func resetNamedTailer(_ name: String, to start: TailStart) throws(LogError) {
        let place = try Seek(checkedReader()).place(start)
        let file = try lockedTailerFile(name, create: true, acceptsAnyLength: true)
        try file.restoreLength()
        let isProtecting = (try? file.place)?.isProtecting ?? false
        try file.store(
            .init(position: place.nextPosition, sequence: place.sequence, isProtecting: isProtecting),
            durably: true
        )
    }

    private func lockedTailerFile(
        _ name: String,
        create: Bool,
        acceptsAnyLength: Bool = false
    ) throws(LogError) -> NamedTailerFile {
        let file = try NamedTailerFile(
            name,
            in: checkedReader().log,
            create: create,
            writable: true,
            acceptsAnyLength: acceptsAnyLength
        )
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
