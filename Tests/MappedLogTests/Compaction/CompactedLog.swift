import Foundation
import Glibc
import MappedLog
import SystemPackage
import _CMappedLog

/// A closed log whose sealed segments can be compacted, with what it held when it was raw.
struct CompactedLog {
    let path: FilePath
    let records: [SeenRecord]

    /// Writes records of many sizes, batches among them.
    ///
    /// - Parameters:
    ///   - path: Where.
    ///   - segmentSize: In bytes.
    ///   - sizes: Of the payloads, one after the other.
    /// - Throws: What the log throws.
    init(at path: FilePath, segmentSize: UInt64, sizes: [Int]) throws {
        self.path = path
        let log = try Log.create(at: path, options: LogOptions(segmentSize: segmentSize, durability: .never))
        for (number, size) in sizes.enumerated() {
            let time = Timestamp(nanosecondsSince1970: Int64(number) * 1000)
            if number % 10 == 9 {
                _ = try log.append(batch: (0..<3).map { payload(number + $0, min(size, 200)) })
            } else {
                _ = try log.append(payload(number, size), timestamp: time)
            }
        }
        records = Sight.of(log).records
        try log.close()
    }

    static func sizes(_ count: Int, upTo longest: Int) -> [Int] {
        var state: UInt64 = 88_172_645_463_325_252
        return (0..<count).map { number in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return number % 40 == 20 ? Int(state % UInt64(longest)) : Int(state % 400)
        }
    }

    /// The names of the files of one form.
    func files(_ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path.string).filter { name in
            name.dropFirst(16) == suffix[...]
        }.sorted()
    }

    var leftovers: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: path.string).filter { $0.hasPrefix(".tmp-") }
        }
    }
}

/// CRC32C of bytes.
func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let all = Array(bytes)
    return unsafe all.withUnsafeBytes { ~(unsafe mlog_crc32c_extend(~0, $0.baseAddress!, $0.count)) }
}

/// Runs a program with a file's content as its input; its output, or nil if it failed.
func output(of program: String, _ arguments: [String]) throws -> [UInt8]? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? Array(data) : nil
}

extension [UInt8] {
    mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        for index in 0..<MemoryLayout<Value>.size {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
        }
    }

    func number<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
        (0..<MemoryLayout<Value>.size).reduce(0) { $0 | Value(self[offset + $1]) << Value(8 * $1) }
    }

    /// Makes a compacted segment's seek table right in itself again.
    mutating func sealTable() {
        let table = Int(number(UInt64.self, at: count - 64))
        put(crc32c(self[table..<count - 12]), at: count - 12)
    }

    /// Makes a compacted segment's header right in itself again.
    mutating func sealHeader() {
        put(crc32c(self[40..<164]), at: 164)
        put(crc32c(self[0..<252]), at: 252)
    }
}
