import SystemPackage
import Testing
import _CMappedLog

@testable import MappedLog

/// What a compactor writes is read back and compared before the raw form may go.
@Suite struct CompressedBlockTests {
    /// Hands the writer one block, stored as it is, of a raw segment; `change` makes it another.
    private func write(_ change: (inout [UInt8]) -> Void) throws -> LogError? {
        try withTemporaryDirectory(inMemory: true) { directory in
            let size = 64 << 10
            let raw = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try writeFile(directory.appending("raw"), raw)
            try writeFile(directory.appending("target"), [])
            var data = raw
            change(&data)
            let header = SegmentHeader(
                logID: LogID.random(),
                geometry: SegmentGeometry(segmentSize: UInt64(size)),
                base: 0,
                salt: 1
            )
            let writer = CompressedBlockWriter(
                try OpenFile(directory.appending("raw"), 0),
                try OpenFile(directory.appending("target"), 2),
                header: header,
                blockSize: UInt64(size),
                slotSize: size + Int(MLOG_LZ4_BLOCK_OVERHEAD)
            ) { _ in }
            var entry = mlog_compacted_entry(offset: 0, size: UInt32(size) | MLOG_LZ4_STORED, crc: 0)
            let stored = unsafe withUnsafeBytes(of: entry.size) { unsafe Array($0) } + data + [0, 0, 0, 0]
            var checksum = Checksum()
            unsafe stored.withUnsafeBytes { unsafe checksum.add($0) }
            entry.crc = checksum.value
            do throws(LogError) {
                unsafe try writer.slot().copyBytes(from: stored)
                writer.add(entry)
                _ = try writer.finish()
                return nil
            } catch {
                return error
            }
        }
    }

    @Test func `a block that holds what the raw segment does is taken`() throws {
        #expect(try write { _ in } == nil)
    }

    @Test(arguments: [0, 4095, 65_535])
    func `a block with another byte is damage, though its checksum is right`(_ offset: Int) throws {
        let failure = try #require(try write { $0[offset] ^= 1 })
        #expect(failure.code == .damaged)
        #expect(failure.found == "other bytes in the block")
    }
}
