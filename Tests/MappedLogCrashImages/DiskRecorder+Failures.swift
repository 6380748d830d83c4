import Glibc
import SystemPackage
import _CDiskCalls

/// Flushes that fail, and what is dirty again afterwards.
extension DiskRecorder {
    /// This thread's next `fdatasync` fails, or no longer does.
    static func failNextFlush(_ fails: Bool) { disk_fail_flush(fails ? 1 : 0) }

    /// Whether it has yet to.
    static var isFlushToFail: Bool { disk_is_flush_to_fail() != 0 }

    func notFlushed(_ descriptor: CInt) {
        guard beginnings[descriptor]?.removeFirst() != nil, let id = identity(descriptor)?.id else { return }
        history.time += 1
        let time = history.time
        history.files[id]?.failures.append(time)
    }

    /// Written to: its pages are dirty, also where the bytes are what they were.
    func dirtied(_ id: DiskHistory.FileID, from offset: Int, byteCount: Int) {
        // Without a failure all that is flushed is on the disk.
        guard byteCount > 0, history.files[id]?.failures.isEmpty == false else { return }
        history.time += 1
        let time = history.time
        let pages = offset / FileHistory.pageBytes..<(offset + byteCount - 1) / FileHistory.pageBytes + 1
        history.files[id]?.dirtied.append((time, pages))
    }

    /// As ``dirtied(_:from:byteCount:)``, through a mapping.
    func populated(_ address: UInt, byteCount: Int) {
        guard byteCount > 0, history.files.values.contains(where: { !$0.failures.isEmpty }),
            let mapping = mapping(at: address)
        else { return }
        dirtied(mapping.file, from: mapping.offset, byteCount: byteCount)
    }

    /// Which file is mapped there, and from where on (proc_pid_maps(5)).
    private func mapping(at address: UInt) -> (file: DiskHistory.FileID, offset: Int)? {
        guard let file = try? openFile("/proc/self/maps", O_RDONLY) else { return nil }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while let count = unsafe try? buffer.withUnsafeMutableBytes({ unsafe try file.read(into: $0) }), count > 0 {
            text += buffer[..<count]
        }
        try? file.close()
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: true)
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, (ends[0]..<ends[1]).contains(address) else { continue }
            guard let offset = UInt(fields[2], radix: 16), let file = UInt(fields[4]) else { return nil }
            return (file, Int(offset + address - ends[0]))
        }
        return nil
    }
}
