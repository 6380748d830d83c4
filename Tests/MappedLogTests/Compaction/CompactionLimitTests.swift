import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing

/// What compaction and reading compacted segments may take: memory, and room on the disk.
@Suite struct CompactionLimitTests {
    /// What the kernel says is in memory of what is reserved for blocks: of no file, not for forked children, in no huge pages.
    ///
    /// Blocks that were moved are mappings of their own.
    private func residentBytes() throws -> UInt64 {
        let text = String(decoding: try #require(try output(of: "cat", ["/proc/\(getpid())/smaps"])), as: UTF8.self)
        var (sum, resident): (UInt64, UInt64) = (0, 0)
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            if fields[0] == "Rss:" { resident = try #require(UInt64(fields[1])) << 10 }
            let isReserved = ["dc", "nh"].allSatisfy(fields.contains) && !fields.contains("sh")
            if fields[0] == "VmFlags:", isReserved { sum += resident }
        }
        return sum
    }

    @Test(.disabled(if: Sanitizer.memoryObstacle != nil, Comment(rawValue: Sanitizer.memoryObstacle ?? "")))
    func `a tailer keeps memory for the blocks in use, not for the segment`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let size: UInt64 = 7 << 20 | 5 << 16
            let block: UInt64 = 64 << 10
            let log = try CompactedLog(
                at: directory.appending("log"),
                segmentSize: size,
                sizes: CompactedLog.sizes(6_000, upTo: 500_000)
            )
            _ = try Compactor.compact(at: log.path, options: CompactionOptions(blockSize: block))
            let open = try Log.openReadOnly(at: log.path)
            let last = try #require(log.records.last { $0.position < 2 * size })
            var looked = 0
            // The blocks of the largest record, which are more than two, and three others.
            let largest = log.records.reduce(0) { max($0, UInt64($1.payload.count)) }
            let bound = ((largest + 24 + block - 1) / block + 1 + 3) * block
            #expect(bound < size / 5)
            func check(_ record: SeenRecord) throws {
                let resident = try residentBytes()
                looked += 1
                // The segment with the tail isn't compacted.
                #expect(resident <= bound && resident > 0, "\(record)")
            }
            var tailer = try open.tailer()
            while let record = try tailer.nextSeen(), record.sequence < last.sequence {
                if record.sequence % 50 == 0 || record.payload.count > 100_000 {
                    try check(record)
                }
            }
            while let record = try tailer.previousSeen() {
                if record.sequence % 50 == 0 || record.payload.count > 100_000 { try check(record) }
            }
            for number in 0..<300 {
                let wanted = log.records[number * 7919 % Int(last.sequence)]
                try tailer.seek(to: .sequence(wanted.sequence))
                let record = try #require(try tailer.nextSeen())
                #expect(record == wanted)
                try check(record)
            }
            #expect(looked > 50)
        }
    }

    /// Blocks are moved to places that others left, and those are reserved anew: each is to have what belongs there.
    @Test func `whichever way a compacted segment is read, blocks that come back are what they were`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try CompactedLog(
                at: directory.appending("log"),
                segmentSize: 8 << 20,
                sizes: (0..<4_000).map { 1_000 + $0 % 4_001 }
            )
            _ = try Compactor.compact(at: log.path, options: CompactionOptions(blockSize: 64 << 10))
            var tailer = try Log.openReadOnly(at: log.path).tailer()
            // Some 20 blocks to and fro: more than are reserved anew at a time.
            for number in 0..<30 {
                let start = number * 7919 % (log.records.count - 450)
                try tailer.seek(to: .sequence(UInt64(start)))
                let records = log.records[start..<start + 450]
                for record in records { try #require(try tailer.nextSeen() == record) }
                for record in records.reversed() { try #require(try tailer.previousSeen() == record) }
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root, to mount a small file system"))
    func `a full disk leaves the raw segment and no temporary file`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let disk = directory.appending("disk")
            try FileManager.default.createDirectory(atPath: disk.string, withIntermediateDirectories: true)
            // Two raw segments, the log's other files, and too little for a compacted one.
            guard try output(of: "mount", ["-t", "tmpfs", "-o", "size=3400k", "tmpfs", disk.string]) != nil else {
                return
            }
            defer { _ = try? output(of: "umount", ["-l", disk.string]) }
            let path = disk.appending("log")
            let options = LogOptions(segmentSize: 1 << 20, durability: .never)
            var random = SystemRandomNumberGenerator()
            let log = try Log.create(at: path, options: options)
            var count = 0
            while try log.endPosition.rawValue < 1 << 20 | 10_000 {
                _ = try log.append((0..<4000).map { _ in UInt8.random(in: .min ... .max, using: &random) })
                count += 1
            }
            try log.close()
            // Whether the next segment is there by now or not.
            try fill(disk, leaving: 200 << 10)
            let before = try LogImage(of: path).withoutLive
            let failure = failure { _ = try Compactor.compact(at: path) }
            #expect(failure?.code == .diskFull)
            #expect(try LogImage(of: path).withoutLive == before)
            #expect(Sight.of(path).records.count == count)
        }
    }

    private func fill(_ disk: FilePath, leaving rest: UInt) throws {
        var room = statvfs()
        #expect(unsafe statvfs(disk.string, &room) == 0)
        let free = room.f_bavail * room.f_bsize
        let ballast = try FileDescriptor.open(
            disk.appending("ballast"),
            .writeOnly,
            options: [.create],
            permissions: .ownerReadWrite
        )
        defer { try? ballast.close() }
        if free > rest { #expect(posix_fallocate(ballast.rawValue, 0, off_t(free - rest)) == 0) }
    }
}
