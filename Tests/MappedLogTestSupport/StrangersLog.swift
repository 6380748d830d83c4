import Foundation
import MappedLog
import MappedLogSigning
import SystemPackage

/// A log in which somebody has put anything at all, some of it with the checksums that belong to it.
struct StrangersLog {
    private let path: FilePath

    init(_ path: FilePath) { self.path = path }

    func forge(using random: inout SeededGenerator) throws {
        let log = try Log.create(at: path, options: LogOptions(segmentSize: 64 << 10))
        for counter in 0..<UInt64(100) {
            try log.append([UInt8].record(writer: 0, counter: counter, byteCount: 1500))
        }
        var tailer = try log.tailer(named: "stranger")
        _ = try tailer.next()
        try tailer.commit()
        try log.close()
        if Bool.random(using: &random) { _ = try Compactor.compact(at: path) }
        // Its locks and watermarks are the stranger's too, or not there.
        if Bool.random(using: &random) { try FileManager.default.removeItem(atPath: path.appending("live").string) }
        let names = try FileManager.default.subpathsOfDirectory(atPath: path.string).sorted().filter {
            $0.contains(".mlog") || $0 == "live/control" || $0 == "tailers/stranger"
        }
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let name = names.randomElement(using: &random)!
            let file = URL(filePath: path.appending(name).string)
            var bytes = [UInt8](try Data(contentsOf: file))
            change(&bytes, name, using: &random)
            try Data(bytes).write(to: file)
        }
    }

    /// Somewhere, or in a part that means something; and most of the time signed again.
    private func change(_ bytes: inout [UInt8], _ name: String, using random: inout SeededGenerator) {
        if name.hasSuffix(".lz4"), Int.random(in: 0..<4, using: &random) == 0 {
            enlargeBlock(&bytes, using: &random)
        } else {
            let part = parts(of: bytes, name).randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...3, using: &random) { edit(&bytes, part, using: &random) }
        }
        if Int.random(in: 0..<5, using: &random) == 0 { return }
        switch name {
        case "live/control": bytes.signControl()
        case "tailers/stranger": bytes.signTailer(of: id)
        case _ where name.hasSuffix(".lz4"): bytes.signCompacted()
        default:
            bytes.signHeaderAndLines()
            bytes.signFrames(from: 4096)
            bytes.signIndex()
        }
    }

    /// Its first block holds more than the segment has room for, and everything in the file agrees with that.
    private func enlargeBlock(_ bytes: inout [UInt8], using random: inout SeededGenerator) {
        // Behind our header and that of the LZ4 frame; in front of the frame's end and the table.
        let (start, end) = (256 + 15, Int(min(bytes.integer(at: bytes.count - 64, bytes: 8), 1 << 20)) - 8)
        guard start < end, end < bytes.count else { return }
        let byteCount = [(64 << 10) + 1, 80 << 10, 1 << 20, 8 << 20].randomElement(using: &random)!
        let size = UInt32(byteCount) | 0x8000_0000
        let word = (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * UInt32($0))) }
        bytes.replaceSubrange(start..<end, with: word + [UInt8](repeating: 0x55, count: byteCount + 4))
        let table = UInt32(start + 8 + byteCount + 8)
        bytes.store(table, at: bytes.count - 64)
        bytes.store(size, at: Int(table) + 8 + 8)
    }

    /// The log's, as its first segment has it.
    private var id: [UInt8] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path.string)) ?? []
        guard let segment = names.first(where: { $0.hasSuffix(".mlog") }),
            let bytes = FileManager.default.contents(atPath: path.appending(segment).string), bytes.count > 56
        else { return [] }
        return Array(bytes[40..<56])
    }

    private func parts(of bytes: [UInt8], _ name: String) -> [Range<Int>] {
        switch name {
        case "live/control": return [0..<128, 128..<192, 256..<320, 384..<472, 512..<576]
        case "tailers/stranger": return [0..<64, 512..<576]
        case _ where name.hasSuffix(".lz4"):
            // An earlier change may have been to this.
            let table = Int(min(bytes.integer(at: bytes.count - 64, bytes: 8), UInt64(bytes.count - 128)))
            return [
                0..<256, 256..<bytes.count, table..<bytes.count, table + 8..<bytes.count - 64,
                bytes.count - 64..<bytes.count,
            ]
        default:
            // The words of frames, which are 1,524 bytes each, most of them.
            let word = 4096 + 1528 * 3
            return [
                0..<128, 512..<544, 1024..<1072, 4096..<bytes.indexStart, word..<word + 24,
                bytes.indexStart..<bytes.indexStart + 32,
            ]
        }
    }

    private func edit(_ bytes: inout [UInt8], _ part: Range<Int>, using random: inout SeededGenerator) {
        let byteCount = [1, 2, 4, 8].randomElement(using: &random)!
        let start = Int.random(in: part, using: &random) & ~(byteCount - 1)
        let value: UInt64 = [
            0, 1, 0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, .max, UInt64(bytes.count), random.next(),
        ].randomElement(using: &random)!
        for index in 0..<byteCount where start + index < bytes.count {
            bytes[start + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
        }
    }
}
