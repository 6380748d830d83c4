import Foundation
import Glibc
import MappedLog
import SystemPackage
import Testing

/// `compactAfter`: what is compacted by those who have a log open for writing.
@Suite struct AutomaticCompactionTests {
    private func options(_ age: Duration) -> LogOptions {
        LogOptions(segmentSize: 64 << 10, durability: .interval(.milliseconds(1)), compactAfter: age)
    }

    private func names(_ path: FilePath, _ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path.string).filter { $0.hasSuffix(suffix) }.sorted()
    }

    private func eventually(_ comment: Comment, _ condition: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !condition() {
            try #require(ContinuousClock.now < deadline, comment)
            usleep(1_000)
        }
    }

    /// Threads of this process that run at the lowest priority.
    private func backgroundThreads() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count { thread in
            guard let line = try? String(contentsOfFile: "/proc/self/task/\(thread)/stat", encoding: .utf8),
                let end = line.lastIndex(of: ")")
            else { return false }
            // Field 19 of proc(5), the third behind the name.
            let fields = line[end...].split(separator: " ").dropFirst()
            return fields.dropFirst(16).first == "19"
        }
    }

    @Test func `sealed segments are compacted beside the writer and a tailer, at low priority`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: options(.zero))
            #expect(try LogOptions(ofLogAt: path) == options(.zero))
            let reader = try Log.openReadOnly(at: path)
            var tailer = try reader.tailer()
            for number in 0..<2_000 {
                _ = try log.append(payload(number, 300))
                let record = try tailer.nextSeen()
                #expect(record?.sequence == UInt64(number) && record?.payload == payload(number, 300))
            }
            #expect(try backgroundThreads() > 0)
            let sealed = try log.info().segments.count { $0.state != "prepared" } - 1
            #expect(sealed > 5)
            try eventually("all sealed segments are compacted") { try names(path, ".mlog.lz4").count == sealed }
            // The raw form goes a moment after the compacted one came.
            try eventually("the raw ones are gone") { try names(path, ".mlog").count <= 2 }
            for number in (0..<2_000).reversed() {
                #expect(try tailer.previousSeen()?.payload == payload(number, 300))
            }
            _ = try log.append(payload(2_000, 300))
            try log.close()
            #expect(try Maintenance.verify(at: path).isWhole)
            #expect(Sight.of(path).records.map(\.payload) == (0...2_000).map { payload($0, 300) })
        }
    }

    @Test func `what is too young stays raw until it is old enough`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: options(.seconds(3600)))
            let now = Int64(Date().timeIntervalSince1970 * 1e9)
            let old = Timestamp(nanosecondsSince1970: now - 2 * 3_600_000_000_000)
            for number in 0..<600 { _ = try log.append(payload(number, 300), timestamp: old) }
            let count = try log.info().segments.count { $0.state != "prepared" } - 1
            try #require(count >= 2)
            for number in 600..<1_200 { _ = try log.append(payload(number, 300)) }
            try log.sync()
            try eventually("the old ones are compacted") { try names(path, ".mlog.lz4").count >= count }
            // It is done, and once more, before a copy has the lock.
            try eventually("the lock is free") { code { _ = try log.retain(Retention(segments: 1_000)) } == nil }
            #expect(try names(path, ".mlog.lz4").count == count)
            try log.close()
        }
    }

    @Test func `a close in the middle of a segment leaves it raw and nothing behind`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            var settings = options(.zero)
            settings.segmentSize = 32 << 20
            let log = try Log.create(at: path, options: settings)
            let record = payload(1, 1 << 20)
            for _ in 0..<40 { _ = try log.append(record) }
            try log.sync()
            try eventually("a compaction has begun") {
                try !names(path, ".mlog.lz4").isEmpty
                    || FileManager.default.contentsOfDirectory(atPath: path.string).contains { $0.hasPrefix(".tmp-c") }
            }
            try log.close()
            let left = try FileManager.default.contentsOfDirectory(atPath: path.string)
            #expect(!left.contains { $0.hasPrefix(".tmp-") })
            #expect(Sight.of(path).records.map(\.payload) == (0..<40).map { _ in record })
            // Who opens it next does what is left to do.
            let again = try Log.open(at: path)
            try eventually("it is compacted") { try names(path, ".mlog.lz4").count == 1 }
            try again.close()
        }
    }

    @Test(arguments: ["-1", "\"1h\"", "1.5", "[]", "1e30"])
    func `an invalid setting stops writers and no reader`(value: String) throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: options(.seconds(987_654_321)))
            _ = try log.append(payload(1, 10))
            try log.close()
            let file = path.appending("options.json")
            let text = try String(contentsOfFile: file.string, encoding: .utf8)
            let changed = text.replacingOccurrences(of: "987654321", with: value)
            #expect(changed != text)
            try writeFile(file, Array(changed.utf8))
            let error = failure { _ = try Log.open(at: path) }
            #expect(error?.code == .damaged && error?.expected?.contains("compactAfterSeconds") == true)
            #expect(Sight.of(path).records.count == 1)
            #expect(try !Maintenance.verify(at: path).isWhole)
            _ = try Maintenance.repair(at: path)
            #expect(try LogOptions(ofLogAt: path).compactAfter == nil)
            try Log.open(at: path).close()
        }
    }

    @Test func `a negative age is refused`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            #expect(code { _ = try Log.create(at: path, options: options(.seconds(-1))) } == .invalidOptions)
        }
    }
}
