import Foundation
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CTestSupport

extension ProcessTests {
    /// Forked children, other users, other pid namespaces.
    @Suite struct Isolation {
        static let isRoot = geteuid() == 0

        @Test(arguments: LogMedium.allCases)
        func `in a forked child every call throws, and the parent goes on`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let worker = try scene.worker("fork")
            let answer = try worker.line(within: 20)
            #expect(answer == "child refused")
            #expect(try worker.wait(upTo: 20) == .exited(0), "\(worker.lastLine)")
            let log = try Log.open(at: scene.log)
            #expect(log.recovery?.cleanClose == true)
            #expect(try log.nextSequence == 2)
            try log.close()
        }

        @Test(arguments: LogMedium.allCases)
        func `a writer's death is seen though a child that it forked lives on`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let worker = try scene.worker("fork-and-die")
            // A writer beside it: the append lock is handed on.
            #expect(try worker.wait(upTo: 20) == .killed(SIGKILL))
            // And the lock that says who is a writer: the next to open is the first.
            let log = try Log.open(at: scene.log, opening: OpenOptions(recoveryTimeout: .seconds(2)))
            let report = try #require(log.recovery, "the dead writer's lock is gone")
            #expect(!report.cleanClose)
            #expect(report.cutBytes > 0, "the append it died in is cut off")
            _ = try log.tailer(named: "died")
            try log.append([1])
            try log.close()
            #expect(scene.board[.signal] == 0, "the child still lives")
            scene.board[.stop] = 1
            try scene.wait(for: "the child's end") { scene.board[.signal] == 2 }
        }

        @Test(arguments: [LogMedium.file, .sharedMemory])
        func `no child keeps a named tailer, whenever it was forked`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let worker = try scene.worker("fork-beside")
            #expect(try worker.wait(upTo: 60) == .killed(SIGKILL), "\(worker.lastLine)")
            let log = try Log.openReadOnly(at: scene.log)
            let tailers = try log.namedTailers()
            #expect(tailers.count == 4)
            #expect(tailers.filter(\.isOpen).map(\.name) == [], "open in a child of the dead process")
            scene.board[.stop] = 1
        }

        @Test(arguments: LogMedium.allCases)
        func `a child's own child loses no descriptor`(on medium: LogMedium) throws {
            let scene = try Scene(on: medium)
            let worker = try scene.worker("fork-twice")
            #expect(try worker.line(within: 20) == "lost 0")
            #expect(try worker.wait(upTo: 20) == .exited(0))
        }

        @Test(arguments: LogMedium.allCases)
        func `the append lock of a dead writer is handed on though a child that it forked lives on`(
            on medium: LogMedium
        ) throws {
            let scene = try Scene(on: medium)
            let log = try Log.open(at: scene.log)
            let worker = try scene.worker("fork-and-die")
            #expect(try worker.wait(upTo: 20) == .killed(SIGKILL))
            let start = test_now_ns()
            try log.append([1])
            print("append behind a dead writer with a living child: \(Double(test_now_ns() - start) / 1000) µs")
            #expect(try log.nextSequence == 1)
            #expect(scene.board[.signal] == 0, "the child still lives")
            scene.board[.stop] = 1
            try scene.wait(for: "the child's end") { scene.board[.signal] == 2 }
            try log.close()
        }

        @Test(.enabled(if: isRoot, "needs to be root"), arguments: LogMedium.allCases)
        func `a writer of another pid namespace is refused while others live, and let in once they are gone`(
            on medium: LogMedium
        ) throws {
            let scene = try Scene(on: medium)
            let namespace = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
            let log = try Log.open(at: scene.log)
            let refused = try scene.appender(0, ["--count", "10"], through: namespace)
            #expect(try refused.process.line(within: 20)?.hasPrefix("error foreignPidNamespace ") == true)
            #expect(try refused.process.wait(upTo: 20) == .exited(3))
            // Tailing is fine: it takes no lock.
            try log.append([UInt8].record(writer: 0, counter: 0, byteCount: 30))
            let tailer = try scene.tailer(["--read-only"], through: namespace)
            try scene.wait(for: "the record") { scene.board[tailer.entry, .read] == 1 }
            try log.close()
            let accepted = try scene.appender(2, ["--count", "10"], through: namespace)
            #expect(try accepted.process.wait(upTo: 20) == .exited(0))
            let report = try scene.finish([tailer], records: 11)[0]
            #expect(report.runs[2] == [TailReport.Run(first: 0, end: 10)])
        }

        @Test(.enabled(if: isRoot, "needs to be root"))
        func `a user who may not write follows the log live, and can write nothing`() throws {
            let scene = try Scene(
                LogOptions(
                    segmentSize: 65536,
                    permissions: [.ownerReadWrite, .groupRead, .otherRead],
                    durability: .never
                )
            )
            // The board and the report are the test's own means; the log stays as it was made.
            #expect(unsafe chmod(scene.directory.string, 0o777) == 0)
            #expect(unsafe chmod(scene.directory.appending("board").string, 0o666) == 0)
            let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            let tailer = try scene.tailer(["--read-only"], through: nobody)
            let count = scaled(20_000)
            let appender = try scene.appender(0, threads: 2, ["--count", "\(count)", "--mix", "mixed"])
            #expect(try appender.process.wait(upTo: 60) == .exited(0))
            try scene.wait(for: "all records") { scene.board[tailer.entry, .read] == 2 * count }
            let before = try contents(of: scene.log)
            let writer = try scene.worker("try-to-write", through: nobody)
            #expect(try writer.line(within: 20) == "permissionDenied readOnly readOnly")
            #expect(try writer.wait(upTo: 20) == .exited(0))
            #expect(try contents(of: scene.log) == before)
            let report = try scene.finish([tailer], records: 2 * count)[0]
            #expect(try scene.check(report).acknowledged == 2 * count)
        }

        /// What is in the log's directory, by path: size and time of the last change.
        private func contents(of log: FilePath) throws -> [String: String] {
            var found: [String: String] = [:]
            for name in try FileManager.default.subpathsOfDirectory(atPath: log.string) {
                let attributes = try FileManager.default.attributesOfItem(atPath: log.appending(name).string)
                found[name] = "\(attributes[.size] ?? 0) \(attributes[.modificationDate] ?? 0)"
            }
            return found
        }
    }
}
