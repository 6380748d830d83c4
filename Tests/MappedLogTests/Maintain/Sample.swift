// swift-format-ignore-file: OnlyOneTrailingClosureArgument

import Foundation
import MappedLog
import SystemPackage

/// A closed log of several segments, and ways to damage it.
struct Sample {
    let path: FilePath
    let records: [SeenRecord]

    /// Three full segments and a started one, with batches and a clock that steps back.
    init(in directory: FilePath, count: Int = 600, segmentSize: UInt64 = 128 << 10) throws {
        path = directory.appending("log")
        let log = try Log.create(at: path, options: LogOptions(segmentSize: segmentSize, durability: .never))
        for number in 0..<count {
            let time = Timestamp(nanosecondsSince1970: Int64(1000 * number - number % 7 * 2500))
            if number % 10 == 3 {
                try log.append(batch: (0..<4).map { payload(number * 10 + $0, 300) }, timestamp: time)
            } else {
                try log.append(payload(number, 700), timestamp: time)
            }
            if number % 50 == 49 { try log.sync() }
        }
        try log.close()
        records = Sight.of(path).records
    }

    func file(_ base: UInt64) -> FilePath {
        let digits = String(base, radix: 16)
        return path.appending(String(repeating: "0", count: 16 - digits.count) + digits + ".mlog")
    }

    func base(of position: UInt64) -> UInt64 { position / (128 << 10) * (128 << 10) }

    /// Flips a bit of the file at a position.
    func flip(_ position: UInt64) throws {
        let base = base(of: position)
        try edit(file(base), at: Int(position - base)) { $0 ^ 0x10 }
    }

    func zero(_ range: Range<UInt64>) throws {
        for position in range {
            try edit(file(base(of: position)), at: Int(position % (128 << 10))) { _ in 0 }
        }
    }

    /// The files that are not as they were.
    ///
    /// An open for writing may have prepared the next segment.
    func changes(since before: LogImage) throws -> Set<String> {
        let now = try image()
        let added = Set(now.files.keys).subtracting(before.files.keys)
        let last = before.files.keys.filter { $0.hasSuffix(".mlog") && !$0.contains("/") }.max() ?? ""
        let unexpected = added.filter { !$0.hasSuffix(".mlog") || $0 <= last }
        return unexpected.union(before.files.keys.filter { now.files[$0] != before.files[$0] })
    }

    /// All files of the log but those of the running system.
    func image() throws -> LogImage { try LogImage(of: path).withoutLive }
}

/// A way to damage a log, and what must be found and lost.
struct Harm: Sendable, CustomStringConvertible {
    let description: String
    let kind: Damage.Kind
    /// The sequences that can't be read any more.
    let lost: @Sendable (Sample) -> Set<UInt64>
    let apply: @Sendable (Sample) throws -> Void

    static let second: UInt64 = 128 << 10

    private static func sequences(_ sample: Sample, in base: UInt64) -> Set<UInt64> {
        Set(sample.records.filter { sample.base(of: $0.position) == base }.map(\.sequence))
    }

    static let all: [Harm] = [
        Harm(description: "a flipped bit of a payload", kind: .frame, lost: { [$0.records[20].sequence] }) { sample in
            try sample.flip(sample.records[20].position + 100)
        },
        Harm(description: "a flipped bit of a length", kind: .frame, lost: { [$0.records[20].sequence] }) { sample in
            try sample.flip(sample.records[20].position + 1)
        },
        Harm(description: "a zeroed frame", kind: .missingFrame, lost: { [$0.records[20].sequence] }) { sample in
            let position = sample.records[20].position
            try sample.zero(position..<position + 728)
        },
        Harm(description: "a flipped bit of a batch's last record", kind: .frame, lost: { _ in [3, 4, 5, 6] }) {
            try $0.flip($0.records[6].position + 40)
        },
        Harm(description: "a flipped bit of a batch's first record", kind: .frame, lost: { _ in [3, 4, 5, 6] }) {
            try $0.flip($0.records[3].position + 40)
        },
        Harm(description: "the first frame of the log", kind: .frame, lost: { _ in [0] }) { try $0.flip(4096 + 30) },
        Harm(description: "the end frame", kind: .frame, lost: { _ in [] }) { sample in
            try sample.flip(endFrame(sample, second) + 16)
        },
        Harm(
            description: "the last record and the end frame",
            kind: .frame,
            lost: { sample in
                let last = sample.records.last { sample.base(of: $0.position) == second }!
                // The last record may be the last of a batch, which goes whole.
                return last.payload.count == 300 ? Set(last.sequence - 3...last.sequence) : [last.sequence]
            }
        ) { sample in
            let last = sample.records.last { sample.base(of: $0.position) == second }!
            try sample.flip(last.position + 30)
            try sample.flip(endFrame(sample, second) + 16)
        },
        Harm(description: "a header's magic", kind: .badMagic, lost: { _ in [] }) { try $0.flip(second) },
        Harm(description: "a header's reserved bytes", kind: .header, lost: { _ in [] }) { try $0.flip(second + 100) },
        Harm(description: "a destroyed header", kind: .badMagic, lost: { sequences($0, in: second) }) {
            try $0.zero(second..<second + 4096)
        },
        Harm(description: "a missing segment", kind: .missingSegment, lost: { sequences($0, in: second) }) {
            try FileManager.default.removeItem(atPath: $0.file(second).string)
        },
        Harm(
            description: "a missing first segment's successor and a truncated one",
            kind: .truncatedSegment,
            lost: {
                sequences($0, in: second)
            }
        ) { sample in
            try writeFile(sample.file(second), Array(readFile(sample.file(second)).prefix(100)))
        },
        Harm(
            description: "a truncated segment",
            kind: .truncatedSegment,
            lost: { sample in
                Set(
                    sample.records.filter {
                        sample.base(of: $0.position) == second && $0.position + 728 > second + 65536
                    }.map(\.sequence).filter { $0 >= firstCut(sample) }
                )
            }
        ) { sample in
            try writeFile(sample.file(second), Array(readFile(sample.file(second)).prefix(65536)))
        },
        Harm(description: "a segment that is too long", kind: .header, lost: { _ in [] }) { sample in
            try writeFile(sample.file(second), try readFile(sample.file(second)) + [1, 2, 3])
        },
        Harm(description: "an activation line", kind: .activationLine, lost: { _ in [] }) {
            try $0.flip(second + 512 + 8)
        },
        Harm(description: "the first activation line", kind: .activationLine, lost: { _ in [] }) {
            try $0.flip(512 + 8)
        },
        Harm(description: "an index entry", kind: .indexEntry, lost: { _ in [] }) {
            try $0.flip(second + second - 4096 + 8)
        },
        Harm(description: "a missing index entry", kind: .indexEntry, lost: { _ in [] }) {
            try $0.zero(second + second - 4096 + 32..<second + second - 4096 + 64)
        },
        Harm(description: "bytes behind the end of a segment", kind: .behindEnd, lost: { _ in [] }) { sample in
            try edit(sample.file(second), at: Int(endFrame(sample, second) - second) + 28) { _ in 7 }
        },
    ]

    /// The position of a sealed segment's end frame.
    static func endFrame(_ sample: Sample, _ base: UInt64) -> UInt64 {
        let last = sample.records.last { sample.base(of: $0.position) == base }!
        return last.position + 24 + UInt64(last.payload.count + 7) / 8 * 8
    }

    /// The sequence of the first record that a cut in the middle of the second segment takes, its batch and all.
    static func firstCut(_ sample: Sample) -> UInt64 {
        let cut = second + 65536
        let inside = sample.records.filter {
            $0.position >= second && $0.position + 24 + UInt64($0.payload.count + 7) / 8 * 8 > cut
        }
        var index = Int(inside[0].sequence)
        while sample.records[index].payload.count == 300, sample.records[index - 1].payload.count == 300,
            sample.records[index].timestamp == sample.records[index - 1].timestamp
        {
            index -= 1
        }
        return sample.records[index].sequence
    }
}
