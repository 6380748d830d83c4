internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension LogPlace {
    /// Whether a segment of this log, at this base, holds data: an activation line, or frames.
    func isActivated(_ base: UInt64) -> Bool {
        guard let file = (try? medium.openSegment(base, writable: false)).flatMap({ $0 }) else { return false }
        do throws(LogError) {
            let header = try SegmentHeader(reading: file, base: base, of: identity)
            let scanner = SegmentScanner(file, header: header, toleratesBadSectors: true)
            if try scanner.activation() != nil { return true }
            if case .frame = try scanner.frame(at: SegmentGeometry.dataStart) { return true }
            return try scanner.nextFrame(from: SegmentGeometry.dataStart) != nil
        } catch {
            if Damage.Kind(error.code) == .unsupported { return true }
            return (try? SegmentSalvage(file, base, self).scanner(error)).flatMap { $0 } != nil
        }
    }

    /// What a segment's header says it is, if the header is right in itself and says another base or another log.
    func otherSegment(_ base: UInt64) -> String? {
        guard let file = (try? medium.openSegment(base, writable: false)).flatMap({ $0 }) else { return nil }
        var raw = mlog_segment_header()
        unsafe withUnsafeMutableBytes(of: &raw) { _ = unsafe file.readWhatCanBeRead(into: $0, at: 0) }
        var checksum = Checksum()
        checksum.add(raw, first: 124)
        guard raw.magic == MLOG_SEGMENT_MAGIC, raw.crc == checksum.value else { return nil }
        let log = LogID(bytes: unsafe withUnsafeBytes(of: raw.log_id) { unsafe Array($0) })
        guard raw.base_position != base || log != id else { return nil }
        return "base position \(raw.base_position) of log \(log)"
    }
}
