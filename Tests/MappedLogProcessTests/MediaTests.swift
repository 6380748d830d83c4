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

        @Test(arguments: [LogMedium.sharedMemory, .systemV])
        func `cycles of create, append, kill and destroy leave memory as it was`(on medium: LogMedium) throws {
            var random = SeededGenerator("cycles, \(medium)")
            let count = try MemoryCycles(on: medium).run(Int(scaled(100)), using: &random)
            print("\(medium): \(count.cycles) cycles, \(count.destroyed) logs destroyed")
            #expect(count.destroyed > count.cycles / 2)
        }
    }
}
