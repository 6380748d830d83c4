import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing
import _CTestSupport

extension ProcessTests {
    /// What is special about memory: it is finite, and what is left in it stays.
    @Suite struct Media {
        @Test(.enabled(if: geteuid() == 0, "needs the right to mount (root)"))
        func `a full dev shm is an error of the append, and appends go on once there is space`() throws {
            let mount = "mount -t tmpfs -o size=1m,mode=1777 tmpfs /dev/shm && exec \"$0\" \"$@\""
            let worker = try ChildProcess([
                "/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", mount, Scene.worker.string,
                "brim",
            ])
            #expect(try worker.line(within: 60) == "done")
            #expect(try worker.wait(upTo: 20) == .exited(0))
        }

        @Test(arguments: [LogMedium.sharedMemory, .systemV])
        func `a stopped tailer keeps what it has mapped, holds nobody up, and its death lets go of it`(
            on medium: LogMedium
        ) throws {
            let scene = try Scene(nil, on: medium)
            let options = LogOptions(segmentSize: 65_536, retention: Retention(segments: 2))
            let log = try Log.create(at: scene.log, options: options)
            let entry = scene.entry(for: 0)
            func append(_ count: UInt64) throws {
                for _ in 0..<count {
                    let counter = scene.board[entry, .begun]
                    scene.board[entry, .begun] = counter + 1
                    try log.append([UInt8].record(writer: 0, counter: counter, byteCount: 4000))
                    scene.board[entry, .acknowledged] = counter + 1
                }
            }
            try append(20)
            let tailer = try scene.tailer(["--read-only"])
            try scene.wait(for: "the tailer") { scene.board[tailer.entry, .read] == 20 }
            tailer.process.send(SIGSTOP)
            try scene.wait(for: "the stop") { tailer.process.state == "T" }
            try append(500)
            // Of System V the kernel tells what is removed and still attached.
            func dropped() throws -> Int {
                try String(contentsOfFile: "/proc/sysvipc/shm", encoding: .utf8).split(separator: "\n").dropFirst()
                    .map { $0.split(separator: " ") }.count { $0[4] == "\(getpid())" && $0[0] == "0" }
            }
            #expect(try dropped() > 0 || medium == .sharedMemory)
            tailer.process.kill()
            try append(100)
            try scene.wait(for: "the memory") { try dropped() == 0 }
            try log.close()
        }

        /// A thousand on each medium, in four parts.
        @Test(arguments: [LogMedium.sharedMemory, .systemV], 1...4)
        func `cycles of create, append, kill and destroy leave memory as it was`(on medium: LogMedium, part: Int) throws
        {
            var random = SeededGenerator("cycles, \(medium), \(part)")
            let scene = try Scene(nil, on: medium)
            let location = try LogLocation(scene.log)
            let before = try traces()
            var destroyed = 0
            let cycles = scaled(250)
            for _ in 0..<cycles {
                let appender = try scene.appender(0, ["--create", "65536", "--mix", "mixed"])
                // Some die before there is a log, or in its creation, most in the midst of appends.
                if Int.random(in: 0..<4, using: &random) > 0 {
                    try scene.wait(for: "a first append") {
                        scene.acknowledged(appender) > 0 || appender.process.hasEnded
                    }
                } else {
                    test_sleep_ns(UInt64.random(in: 4_000_000..<40_000_000, using: &random))
                }
                test_sleep_ns(UInt64.random(in: 0..<1_000_000, using: &random))
                #expect(appender.process.kill() == .killed(SIGKILL), "\(appender.process.lastLine)")
                if try destroy(location) { destroyed += 1 }
            }
            print("\(medium), \(part): \(cycles) cycles, \(destroyed) logs destroyed")
            #expect(destroyed > Int(cycles) / 2)
            // What other programs on this machine have there may come and go.
            try scene.wait(for: "memory as it was", within: 60) { try traces().isSubset(of: before) }
            let listed = try Maintenance.list().map(\.location)
            #expect(!listed.contains(location.description))
        }

        /// False: there was no log yet.
        private func destroy(_ location: LogLocation) throws -> Bool {
            do { try Maintenance.destroy(at: location) } catch {
                guard error.code == .notFound else { throw error }
                return false
            }
            return true
        }

        /// The logs in `/dev/shm`, and all that the kernel lists of System V.
        private func traces() throws -> Set<String> {
            let names = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm").filter { $0.hasPrefix("mlog-") }
            let tables = try ["shm", "sem"].map { try String(contentsOfFile: "/proc/sysvipc/\($0)", encoding: .utf8) }
            // Key and id of each.
            let objects = tables.flatMap { $0.split(separator: "\n").dropFirst() }.map {
                $0.split(separator: " ").prefix(2).joined(separator: " ")
            }
            return Set(names + objects)
        }
    }
}
