import Foundation
import MappedLog
import SystemPackage
import Testing

/// Compacted segments that are not what was written: an error, never a wrong record, and the other segments readable.
@Suite struct CompactedDamageTests {
    /// A log whose first segments are compacted, and small; `change` makes the first one's file another.
    private func withLog(_ body: (CompactedLog, FilePath, [UInt8]) throws -> Void) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try CompactedLog(
                at: directory.appending("log"),
                segmentSize: 64 << 10,
                sizes: Array(repeating: 3_000, count: 60)
            )
            _ = try Compactor.compact(at: log.path, options: CompactionOptions(blockSize: 64 << 10))
            let file = log.path.appending("0000000000000000.mlog.lz4")
            try body(log, file, try readFile(file))
        }
    }

    private func expectError(_ log: CompactedLog, _ comment: Comment, _ codes: Set<LogError.Code>? = nil) throws {
        let open: Log
        do throws(LogError) { open = try Log.openReadOnly(at: log.path) } catch {
            Issue.record("can't open: \(error)")
            return
        }
        let sight = Sight.of(open)
        let error = try #require(sight.error, comment)
        #expect(codes?.contains(error.code) ?? true, "\(comment): \(error)")
        #expect(error.file?.lastComponent?.string == "0000000000000000.mlog.lz4", comment)
        #expect(sight.records == Array(log.records.prefix(sight.records.count)), comment)
        let second = try #require(log.records.first { $0.position > 65_536 })
        let rest = Sight.of(open, from: .position(Position(rawValue: second.position)))
        #expect(rest.error == nil, comment)
        #expect(rest.records == log.records.filter { $0.sequence >= second.sequence }, comment)
    }

    @Test func `a bit flipped anywhere is an error`() throws {
        try withLog { log, file, bytes in
            #expect(bytes.count < 20_000)
            for offset in bytes.indices {
                var changed = bytes
                changed[offset] ^= 1 << UInt8(offset % 8)
                try writeFile(file, changed)
                try expectError(log, "byte \(offset)")
                if offset % 97 == 0 {
                    let report = try Maintenance.verify(at: log.path)
                    #expect(!report.isWhole, "byte \(offset)")
                    #expect(code { _ = try Compactor.restore(at: log.path, segments: [Position(rawValue: 0)]) } != nil)
                    #expect(try log.leftovers.isEmpty)
                }
            }
        }
    }

    @Test func `a file cut anywhere is an error`() throws {
        try withLog { log, file, bytes in
            for length in stride(from: 0, to: bytes.count, by: 3) {
                try writeFile(file, Array(bytes[..<length]))
                try expectError(log, "\(length) bytes", [.truncatedSegment, .damaged])
            }
            try writeFile(file, bytes + [0])
            try expectError(log, "a byte more")
        }
    }

    @Test func `verify tells a bad seek table from a bad header`() throws {
        try withLog { log, file, bytes in
            let table = Int(bytes.number(UInt64.self, at: bytes.count - 64))
            for (offset, kind) in [(table + 12, Damage.Kind.seekTable), (40, .header)] {
                var changed = bytes
                changed[offset] ^= 1
                try writeFile(file, changed)
                let findings = try Maintenance.verify(at: log.path).findings
                #expect(findings.first?.kind == kind)
                let what = kind == .header ? "bad segment header" : "bad seek table"
                #expect(findings.first?.what.hasPrefix(what) == true)
            }
        }
    }

    @Test func `a directory in the place of a compacted segment is named as such`() throws {
        try withLog { log, file, _ in
            try removeFile(file)
            try FileManager.default.createDirectory(atPath: file.string, withIntermediateDirectories: false)
            try expectError(log, "a directory", [.damaged])
            let finding = try #require(try Maintenance.verify(at: log.path).findings.first)
            #expect(finding.file == file.string)
            #expect(finding.found == "a directory")
            var failure: LogError?
            do throws(LogError) { _ = try Compactor.restore(at: log.path) } catch { failure = error }
            #expect(failure?.found == "a directory")
        }
    }

    @Test func `a directory with the name of an unfinished file is left alone`() throws {
        try withLog { log, _, _ in
            let directory = log.path.appending(".tmp-compact-0123456789abcdef")
            try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: false)
            try writeFile(log.path.appending(".tmp-compact-1"), [1])
            let report = try Compactor.compact(at: log.path)
            #expect(report.removedLeftovers == 1)
            #expect(try log.leftovers == [directory.lastComponent!.string])
        }
    }

    @Test func `a seek table that lies is an error`() throws {
        try withLog { log, file, bytes in
            let entry = Int(bytes.number(UInt64.self, at: bytes.count - 64)) + 8
            let size = bytes.number(UInt32.self, at: entry + 8)
            let lies: [(Comment, (inout [UInt8]) -> Void)] = [
                ("offset 0", { $0.put(UInt64(0), at: entry) }),
                ("an offset behind the file", { $0.put(UInt64.max - 7, at: entry) }),
                ("a size of 0", { $0.put(UInt32(0), at: entry + 8) }),
                ("the largest size", { $0.put(UInt32.max, at: entry + 8) }),
                ("a byte less", { $0.put(size - 1, at: entry + 8) }),
                ("a byte more", { $0.put(size + 1, at: entry + 8) }),
                ("stored", { $0.put(size | 1 << 31, at: entry + 8) }),
                ("another CRC", { $0.put(UInt32(1), at: entry + 12) }),
                ("no blocks", { $0.put(UInt32(0), at: $0.count - 28) }),
                ("4 billion blocks", { $0.put(UInt32.max, at: $0.count - 28) }),
                ("another salt", { $0.put(UInt64(1), at: $0.count - 40) }),
                ("another segment size", { $0.put(UInt64(4 << 30), at: $0.count - 56) }),
                ("another place", { $0.put(UInt64(256), at: $0.count - 64) }),
            ]
            for (comment, lie) in lies {
                var changed = bytes
                lie(&changed)
                let table = Int(bytes.number(UInt64.self, at: bytes.count - 64))
                changed.put(crc32c(changed[table..<changed.count - 12]), at: changed.count - 12)
                try writeFile(file, changed)
                try expectError(log, comment)
            }
        }
    }

    @Test func `a block that expands past its bound, or not so far, is an error`() throws {
        try withLog { log, file, bytes in
            let table = Int(bytes.number(UInt64.self, at: bytes.count - 64))
            let start = Int(bytes.number(UInt64.self, at: table + 8))
            let size = Int(bytes.number(UInt32.self, at: table + 16))
            // A literal, then a match at offset 1 as long as the rest of the bytes can say: a quarter of a million for
            // each thousand of them.
            for length in [65_535, 65_537, 200_000, 4 << 20] {
                var block: [UInt8] = [0x1F, 0x61, 1, 0]
                var left = length - 1 - 4 - 15 - 5
                while left >= 255 {
                    block.append(255)
                    left -= 255
                }
                block.append(UInt8(left))
                block += [0x50] + Array("ENDED".utf8)
                // In the place of the block that stood there.
                var changed = Array(bytes[..<start])
                changed += [0, 0, 0, 0] + block + [0, 0, 0, 0]
                changed.put(UInt32(block.count), at: start)
                let crc = crc32c(changed[start...])
                let end = changed.count
                changed += bytes[(start + 8 + size)...]
                changed.put(UInt64(end + 8), at: changed.count - 64)
                changed.put(UInt32(block.count), at: end + 8 + 16)
                changed.put(crc, at: end + 8 + 20)
                changed.sealTable()
                try writeFile(file, changed)
                try expectError(log, "\(length) bytes", [.damaged])
                let error = try #require(Sight.of(log.path).error)
                #expect(error.description.contains("block 0 with 65536 bytes"), "\(error)")
            }
        }
    }

    @Test func `a file that claims 4 GiB in a few bytes is an error`() throws {
        try withLog { log, file, bytes in
            for size in [100, 256, 300, 500] {
                var changed = Array(bytes[..<size])
                if size >= 256 {
                    changed.put(UInt64(4 << 30), at: 40 + 56)
                    changed.sealHeader()
                }
                try writeFile(file, changed)
                try expectError(log, "\(size) bytes", [.truncatedSegment, .damaged])
            }
            // A log that says the same: no other segment agrees with it then.
            var options = String(decoding: try readFile(log.path.appending("options.json")), as: UTF8.self)
            options = options.replacingOccurrences(of: "65536", with: "4294967296")
            try FileManager.default.removeItem(atPath: log.path.appending("options.json").string)
            try writeFile(log.path.appending("options.json"), Array(options.utf8))
            let error = Sight.of(log.path).error
            #expect(error != nil)
        }
    }

    @Test func `repair keeps what can be read of a damaged compacted segment`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try CompactedLog(
                at: directory.appending("log"),
                segmentSize: 1 << 20,
                sizes: CompactedLog.sizes(2_000, upTo: 300_000)
            )
            _ = try Compactor.compact(at: log.path, options: CompactionOptions(blockSize: 64 << 10))
            let file = log.path.appending("0000000000000000.mlog.lz4")
            let bytes = try readFile(file)
            let table = Int(bytes.number(UInt64.self, at: bytes.count - 64))
            // The sixth block.
            try edit(file, at: Int(bytes.number(UInt64.self, at: table + 8 + 5 * 16)) + 10) { $0 ^ 8 }
            let error = try #require(Sight.of(log.path).error)
            #expect(error.code == .damaged)
            #expect(error.description.contains("block 5"))
            #expect(!(try Maintenance.verify(at: log.path)).isWhole)
            let report = try Maintenance.repair(at: log.path)
            #expect(report.unmended.isEmpty)
            #expect(try Maintenance.verify(at: log.path).isWhole)
            let sight = Sight.of(log.path)
            #expect(sight.error == nil)
            #expect(sight.gone.count == 1)
            let gone = try #require(sight.gone.first?.sequences)
            #expect(sight.records == log.records.filter { !gone.contains($0.sequence) })
            #expect(gone.count < 400)
        }
    }
}
