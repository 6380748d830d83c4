import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing

extension ProcessTests {
    @Suite(.disabled(if: Sanitizer.killingObstacle != nil, Comment(rawValue: Sanitizer.killingObstacle ?? "")))
    struct CompactorDeath {
        /// The command, which lies beside the tests that are running.
        private static let command: String = {
            let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
            return FilePath(tests).removingLastComponent().appending("mlog").string
        }()

        @Test func `a compactor killed at any moment loses, doubles and leaves nothing`() throws {
            let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
            let path = FilePath(directory).appending("log")
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let options = LogOptions(segmentSize: 64 << 10, durability: .interval(.milliseconds(1)))
            let log = try Log.create(at: path, options: options)
            var follower = try log.tailer()
            var written: UInt64 = 0
            var seen: UInt64 = 0
            var killed = 0
            for round in 0..<260 where killed < 210 {
                for _ in 0..<100 {
                    let text = "record \(written) \(String(repeating: "y", count: Int(written % 1300)))"
                    _ = try log.append(Array(text.utf8))
                    written += 1
                }
                try log.sync()
                // Now and then back again, so that both ways are interrupted.
                let compactor = try ChildProcess([Self.command, round % 5 == 4 ? "restore" : "compact", path.string])
                usleep(UInt32.random(in: 500...45_000))
                if compactor.kill() == .killed(SIGKILL) { killed += 1 }
                while let record = try follower.next() {
                    #expect(record.sequence == seen)
                    let start = Array("record \(seen) ".utf8)
                    let isRight = unsafe record.payload.withUnsafeBytes { unsafe $0.starts(with: start) }
                    #expect(isRight)
                    seen += 1
                }
                #expect(seen == written)
                if round % 20 == 19 { try check(log, written) }
            }
            #expect(killed >= 200)
            try check(log, written)
            try log.close()
            let report = try Maintenance.verify(at: path)
            #expect(report.isWhole)
            #expect(report.records == written)
        }

        /// All of it again, from the first record, over whatever forms there are now; and what the next run leaves.
        private func check(_ log: Log, _ written: UInt64) throws {
            var sequence: UInt64 = 0
            var tailer = try log.tailer()
            while let record = try tailer.next() {
                #expect(record.sequence == sequence)
                sequence += 1
            }
            #expect(sequence == written)
            _ = try Compactor.compact(at: log.path)
            let names = try FileManager.default.contentsOfDirectory(atPath: log.path.string)
            #expect(!names.contains { $0.hasPrefix(".tmp-compact-") })
            let forms = Dictionary(grouping: names.filter { $0.contains(".mlog") }) { $0.prefix(16) }
            #expect(forms.values.allSatisfy { $0.count == 1 })
            #expect(names.contains { $0.hasSuffix(".mlog.lz4") })
        }
    }
}
