internal import SystemPackage

/// The next segment, and the bound of a log in memory (`spec/protocol.md`, "Logs in memory").
extension LogPlace {
    /// How long to wait for another process that adds or drops a segment, which takes milliseconds.
    private static let windowPatience = Duration.seconds(10)

    /// Publishes a prepared segment, unless another process was faster: then its segment is as good.
    ///
    /// Of a log in memory the oldest go first, so that there are never more than the bound and the prepared one.
    ///
    /// `namesAreDurable` says that this process has published the one before, and so flushed its name.
    ///
    /// - Throws: `missingSegment` where it was there and is dropped by now; `diskFull` where there is no space, or a protecting named tailer has yet to read what would go.
    /// - Returns: Whether it was this process that published it.
    func prepareSegment(_ base: UInt64, namesAreDurable: Bool) throws(LogError) -> Bool {
        let header = SegmentHeader(logID: id, geometry: geometry, base: base, salt: .random(in: .min ... .max))
            .encoded()
        guard let bound = medium.bound else {
            return try publish(base, header, namesAreDurable: namesAreDurable)
        }
        let lock = try medium.openLock()
        try lock.lockWindow(timeout: Self.windowPatience)
        defer { withExtendedLifetime(lock) {} }
        // Asked again behind the lock: the other one may have needed the very space that is asked for here.
        let names = try medium.listSegments()
        if names.contains(.raw(base)) { return false }
        // Who was held up since it looked at the tail asks for a segment that has been filled and dropped since.
        if let last = names.last?.base, last > base { throw missing(base, durable: nil) }
        for name in names where name.base < base && (base - name.base) / geometry.segmentSize > UInt64(bound) {
            if let tailer = try protector(of: name.base + geometry.segmentSize) {
                throw protected(by: tailer, bound)
            }
            try medium.remove(name)
        }
        return try publish(base, header, namesAreDurable: namesAreDurable)
    }

    private func publish(_ base: UInt64, _ header: [UInt8], namesAreDurable: Bool) throws(LogError) -> Bool {
        try medium.publishSegment(
            base,
            header: header,
            byteCount: geometry.segmentSize,
            namesAreDurable: namesAreDurable
        )
    }

    private func protected(by tailer: String, _ bound: Int) -> LogError {
        LogError(
            .diskFull,
            file: medium.path,
            expected: "at most \(bound) segments, the oldest dropped for a new one",
            found: "the tailer \(tailer) protects the oldest",
            advice: "let it read and commit, or take its protection away (`mlog tail --as \(tailer) --no-protect`)"
        )
    }
}
