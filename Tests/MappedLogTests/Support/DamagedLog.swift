import MappedLog
import SystemPackage

/// A log of two segments to be damaged: records of several sizes, batches, a mark, an index, a named tailer.
struct DamagedLog {
    /// The files as a clean close left them, `live/` too.
    let closed: LogImage
    /// The files as a crash could leave them: nothing was ever flushed, so that only 4096 is known to be durable.
    let crashed: LogImage
    /// All records.
    let records: [SeenRecord]
    /// The first of the records of each batch or single record: what becomes visible at once.
    let firstOfGroup: [UInt64]

    static let tailerName = "reader"
    static let segmentSize = 64 << 10

    init(at path: FilePath) throws {
        let log = try Log.create(at: path, options: .small)
        var firsts: [UInt64] = []
        for number in 0..<12 {
            firsts.append(try log.append(payload(number, number * 5)).sequence)
        }
        firsts.append(try log.append(batch: (0..<4).map { payload($0, 9 * $0) }).first.sequence)
        firsts.append(try log.append(payload(99, 56_000)).sequence)
        // The segment is full now: these go into the next.
        firsts.append(try log.append(batch: (0..<3).map { payload($0, 30) }).first.sequence)
        for number in 0..<6 {
            firsts.append(try log.append(payload(number, 1000 * number)).sequence)
        }
        firstOfGroup = firsts
        records = Sight.of(log).records
        var image = try LogImage(of: path).withoutLive
        let tailer = try log.tailer(named: Self.tailerName, startingAt: .sequence(3))
        try tailer.commit()
        try log.close()
        closed = try LogImage(of: path)
        image.files["tailers/\(Self.tailerName)"] = closed.files["tailers/\(Self.tailerName)"]
        crashed = image
    }

    /// The names of the segments' files, first to last; the last one is prepared.
    var segments: [String] { closed.files.keys.filter { $0.hasSuffix(".mlog") }.sorted() }

    /// The offsets of a file that are worth a flip: all that is not 0, all of header lines and index entries, and a
    /// sample of the rest.
    ///
    /// Of long payloads only each 331st byte, since one checksum guards them all alike.
    func offsets(of name: String, in image: LogImage) -> [Int] {
        guard let bytes = image.files[name] else { return [] }
        guard name.hasSuffix(".mlog") else { return Array(bytes.indices) }
        let longPayloads = records.filter { $0.payload.count > 200 }.map { record -> Range<Int> in
            let start = Int(record.position) % Self.segmentSize + 24
            return record.position / UInt64(Self.segmentSize) * UInt64(Self.segmentSize) == Self.base(of: name)
                ? start + 16..<start + record.payload.count - 16 : 0..<0
        }
        let lines = [0..<128, 512..<544, 1024..<1072, 61440..<61472]
        return bytes.indices.filter { offset in
            if lines.contains(where: { $0.contains(offset) }) { return true }
            if bytes[offset] == 0, offset > 8, bytes[offset - 8...offset].allSatisfy({ $0 == 0 }) {
                return offset % 2039 == 0
            }
            return !longPayloads.contains { $0.contains(offset) } || offset % 331 == 0
        }
    }

    static func base(of name: String) -> UInt64 { UInt64(name.prefix(16), radix: 16) ?? .max }

    /// Whether these are the log's first records, whole batches only.
    func isPrefix(_ seen: [SeenRecord]) -> Bool {
        seen == Array(records.prefix(seen.count))
            && (seen.count == records.count || firstOfGroup.contains(UInt64(seen.count)))
    }
}
