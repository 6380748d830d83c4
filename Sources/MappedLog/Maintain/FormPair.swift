internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The two forms of a sealed segment that is before known durable; both are there where a compactor was killed in the
/// middle of a swap.
///
/// Only with the compactor's lock.
struct FormPair {
    private let base: UInt64
    private let place: LogPlace

    init(_ base: UInt64, of place: LogPlace) {
        self.base = base
        self.place = place
    }

    /// Takes one of two forms away, where both are there: the one that isn't wanted, if they hold the same; else the
    /// one that is damaged, into `lost+found`.
    ///
    /// - Parameters:
    ///   - wanted: The form to be kept.
    ///   - kept: Where what was set aside is now.
    /// - Throws: `io` and the like, with both left.
    /// - Returns: What is wrong where neither form is whole; then both are left.
    func settle(keeping wanted: SegmentName, _ kept: inout [String]) throws(LogError) -> Damage? {
        guard try place.medium.openCompacted(base) != nil, let raw = try place.medium.openSegment(base, writable: false)
        else { return nil }
        if try isEqual(raw) {
            try place.removeBesideWriters(wanted == .raw(base) ? .compacted(base) : .raw(base))
            return nil
        }
        let damage = try damageOfRaw()
        if damage == nil {
            if let path = try place.medium.setAsideSegment(.compacted(base)) { kept.append(path.string) }
        } else if try isCompactedWhole() {
            if let path = try place.medium.setAsideSegment(.raw(base)) { kept.append(path.string) }
        } else {
            return damage
        }
        return nil
    }

    /// What is wrong with the raw form: the first frame that is not what was written.
    ///
    /// Nil: it is whole, or not there. Calls `pause` now and then.
    func damageOfRaw(_ pause: () -> Void = {}) throws(LogError) -> Damage? {
        guard let file = try place.medium.openSegment(base, writable: false) else { return nil }
        do throws(LogError) {
            let header = try SegmentHeader(reading: file, base: base, of: place.identity)
            return try Self.damage(SegmentScanner(file, header: header), pause)
        } catch  where Self.isDamage(error) {
            return Damage(
                Damage.Kind(error.code),
                file: file.path.string,
                position: base + SegmentGeometry.dataStart,
                expected: error.expected ?? "a segment",
                found: error.found ?? error.description
            )
        }
    }

    private func isEqual(_ raw: OpenFile) throws(LogError) -> Bool {
        guard let file = try place.medium.openCompacted(base) else { return false }
        do throws(LogError) {
            try CompactedFile(file, base: base, of: place.identity).compare(with: raw)
            return true
        } catch  where Self.isDamage(error) {
            return false
        }
    }

    private func isCompactedWhole() throws(LogError) -> Bool {
        guard let file = try place.medium.openCompacted(base) else { return false }
        do throws(LogError) {
            let compacted = try CompactedFile(file, base: base, of: place.identity)
            try unsafe compacted.forEachBlock { _, _ in }
            return try Self.damage(SegmentScanner(compacted)) == nil
        } catch  where Self.isDamage(error) {
            return false
        }
    }

    /// Of a segment that is sealed: its frames have to lead to the `end` frame.
    private static func damage(_ scanner: SegmentScanner, _ pause: () -> Void = {}) throws(LogError) -> Damage? {
        var next = SegmentGeometry.blockSize
        let walk = try scanner.walk(from: SegmentGeometry.dataStart, sequence: 0) { frame, _ throws(LogError) in
            if frame.offset < next { return }
            next = frame.offset + SegmentGeometry.blockSize
            pause()
        }
        let found: String
        switch walk.stop {
        case .end: return nil
        case .empty: found = "nothing"
        case .bad(let reason): found = reason
        case .unsupported(let part): found = part
        }
        return Damage(
            .frame,
            file: scanner.file.path.string,
            position: scanner.base + walk.stopOffset,
            expected: "a frame, up to the segment's end",
            found: found
        )
    }

    static func isDamage(_ error: LogError) -> Bool {
        switch error.code {
        case .damaged, .badMagic, .truncatedSegment, .foreignSegment: true
        default: false
        }
    }
}
