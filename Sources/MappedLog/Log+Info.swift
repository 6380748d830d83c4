internal import SystemPackage
internal import _CMappedLog

extension Log {
    /// What the log holds: its records, segments and named tailers.
    ///
    /// Reads the ends of segments, not all of their records; what can't be read is shown as damaged, and hides
    /// nothing else. Complexity: O(*n*) in the number of segments; of a log that nobody has recovered, one recovery's
    /// reading.
    ///
    /// - Throws: `forked`, `missingSegment` where there is no segment at all, `permissionDenied`, `io`.
    /// - Returns: The state of the log at one moment; beside writers its parts may be some records apart.
    public func info() throws(LogError) -> LogInfo {
        let reader = try checkedReader()
        let place = reader.log
        let bases = try place.listedBases()
        guard let first = bases.first else { throw place.missing(0, durable: nil) }
        let start = first + SegmentGeometry.dataStart
        let line = try? place.activation(first)
        let end = try? reader.end()
        let segments = bases.map { LogInfo.SegmentInfo($0, in: place, end: end) }
        // Of a log whose end damage hides, what is there before it.
        let readable = segments.last { $0.state != "damaged" && $0.state != "prepared" }
        let next = segments.reduce(line?.baseSequence ?? 0) { $0 &+ $1.records }
        let endPosition = end?.position ?? readable.map { $0.base + SegmentGeometry.dataStart } ?? start
        return LogInfo(
            id: id.description,
            formatVersion: "\(MLOG_FORMAT_MAJOR).\(MLOG_FORMAT_MINOR)",
            medium: place.medium.name,
            segmentSize: segmentSize,
            firstSequence: line?.baseSequence ?? 0,
            nextSequence: end?.sequence ?? next,
            firstPosition: start,
            endPosition: endPosition,
            durablePosition: (try? reader.knownDurable()) ?? start,
            writers: place.medium.writersAlive()?.shared ?? 0,
            retentionObstacle: place.retentionObstacle,
            tailers: place.tailerInfos(nextSequence: end?.sequence ?? next),
            segments: segments
        )
    }
}

extension LogPlace {
    /// The bases of all segments, holes and all.
    fileprivate func listedBases() throws(LogError) -> [UInt64] {
        var bases: [UInt64] = []
        for name in try medium.listSegments() where geometry.isBase(name.base) && name.base != bases.last {
            bases.append(name.base)
        }
        return bases
    }

    fileprivate func tailerInfos(nextSequence: UInt64) -> [LogInfo.TailerInfo] {
        let names = (try? medium.namedTailerNames()) ?? []
        return names.compactMap { name in
            guard let file = try? NamedTailerFile(name, in: self, create: false, writable: false),
                let place = try? file.place
            else { return nil }
            return LogInfo.TailerInfo(
                name: name,
                position: place.position,
                sequence: place.sequence,
                lag: nextSequence - min(nextSequence, place.sequence),
                protecting: place.isProtecting
            )
        }
    }
}
