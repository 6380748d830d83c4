import Foundation
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing

extension ProcessTests {
    /// What work in steady state costs in counts, which don't wobble as times do.
    @Suite(.disabled(if: Sanitizer.name != nil, "a sanitizer's own calls and page faults would be counted"))
    struct Counting {
        private static let count = 10_000

        /// Of a short record, and of one that is copied and summed up by a call.
        @Test(arguments: [(64, Self.count), (4096, 1_000)])
        func `an append in steady state takes no system call, no page fault and no allocation`(
            payloadBytes: Int,
            count: Int
        ) throws {
            let scene = try Scene()
            let trace = try trace("append", count: count, payloadBytes: payloadBytes, of: scene)
            #expect(trace.calls == [])
            #expect(trace.faults == 0)
            #expect(trace.allocations == 0)
        }

        @Test(arguments: ["batch", "reserve"])
        func `a batch, and a record that is written in place, take no system call and no page fault`(
            work: String
        ) throws {
            let trace = try trace(work, count: Self.count, of: Scene())
            #expect(trace.calls == [])
            #expect(trace.faults == 0)
            // A batch keeps its payloads together; without optimisation, and so in tests, each takes three on the way there.
            #expect(trace.allocations <= (work == "batch" ? 34 * Self.count / 10 : 0))
        }

        @Test func `tailing takes no system call, no allocation, and no page fault but for 64 KiB at a time`() throws {
            let scene = try Scene()
            let trace = try trace("tail", count: Self.count, of: scene)
            #expect(trace.calls == [])
            // What the kernel maps around a page that is read for the first time (fault_around_bytes).
            #expect(trace.faults <= Self.count * 88 / 65536 + 1)
            #expect(trace.allocations == 0)
        }

        /// Of 64 MiB, which the records fill but for the last of them, and blocks of 256 KiB.
        @Test func `blocks of a compacted segment are read once each, into memory that is there`() throws {
            let scene = try Scene()
            let trace = try trace("compacted", count: 64_100, payloadBytes: 1024, of: scene)
            #expect(trace.calls.count { $0 == "pread64" } == 256)
            #expect(trace.calls.count { $0 == "mremap" } >= 250)
            #expect(trace.calls.count { $0 != "pread64" && $0 != "mremap" } < 100, "\(Set(trace.calls))")
            // Five blocks come to be in memory, the first one before.
            #expect(trace.faults <= 4 * 64 + 16)
        }

        @Test func `a synced batch is flushed once`() throws {
            let scene = try Scene()
            let trace = try trace("sync", count: 20, of: scene)
            #expect(trace.calls.filter(Self.isFlush) == Array(repeating: "fdatasync", count: 20))
            // Nor does another thread, but for the next segment, which it makes by fsync(2).
            #expect(trace.meanwhile.filter { $0 == "fdatasync" || $0 == "msync" } == [])
        }

        @Test func `a batch that is to be flushed at once is flushed once`() throws {
            let trace = try trace("durable", count: 20, of: Scene())
            let flushes = (trace.calls + trace.meanwhile).filter { $0 == "fdatasync" || $0 == "msync" }
            #expect(flushes == Array(repeating: "fdatasync", count: 20))
        }

        @Test func `a roll makes an append wait for no flush and no new file`() throws {
            let scene = try Scene()
            // 82 MB, of segments of 64 MiB.
            let trace = try trace("append", count: 20_000, payloadBytes: 4096, of: scene)
            let making = ["fallocate", "ftruncate", "link", "linkat", "rename", "renameat", "renameat2", "unlinkat"]
            #expect(trace.calls.filter { Self.isFlush($0) || making.contains($0) } == [])
            // It opens and maps what another thread made, and wakes the one that makes the next.
            #expect(1...20 ~= trace.calls.count, "\(trace.calls)")
        }

        private static func isFlush(_ call: String) -> Bool {
            ["fdatasync", "fsync", "msync", "sync_file_range"].contains(call)
        }

        /// Each flush takes 20 ms: time enough for all to append who waited for the one before.
        @Test func `appenders that wait for each other's flushes share one each time`() throws {
            let scene = try Scene()
            let slowly = ["--seccomp-bpf", "-e", "trace=fdatasync,getppid", "-e", "inject=fdatasync:delay_enter=20000"]
            let trace = try trace("group", count: 20, of: scene, through: slowly)
            let flushes = trace.others.count { $0.contains("fdatasync(") }
            // Of 20, and those at either end; without waiting for each other's appends it would be 40.
            #expect(20...30 ~= flushes)
        }

        @Test func `an append that another thread waits for wakes it, by one system call`() throws {
            let scene = try Scene()
            #expect(try trace("contend", count: 20, of: scene).calls == Array(repeating: "futex", count: 20))
        }

        @Test func `who waits for the lock comes back ten times before it queues up and has to be woken`() throws {
            let scene = try Scene()
            let calls = try trace("queue", count: 5, of: scene).calls
            // Then it waits, for 20 ms at a time, and as one that waited wakes who may be behind it.
            let rounds = calls.split { $0 == "futex" }
            #expect(rounds == Array(repeating: Array(repeating: "clock_nanosleep", count: 10)[...], count: 5))
            #expect(calls.count { $0 == "futex" } >= 10)
        }

        @Test func `the populator gives way before each piece`() throws {
            let scene = try Scene()
            let trace = try trace("append", count: 100_000, of: scene)
            let populating = trace.others.filter { $0.contains("MADV_POPULATE_WRITE") || $0.contains(" sched_yield(") }
            let threads = Dictionary(grouping: populating) { $0.prefix { $0 != " " } }
            try #require(threads.count == 1, "who populates: \(threads.keys)")
            let pieces = populating.split { $0.contains(" sched_yield(") }
            // 17 MB and the window, in pieces of 2 MiB; with the first one goes the index.
            #expect(pieces.count >= 12)
            #expect(pieces.first?.count == 2)
            #expect(pieces.dropFirst().allSatisfy { $0.count == 1 })
        }

        private struct Trace {
            /// The system calls of the thread that works, by name and in order.
            var calls: [String] = []
            /// Those of all other threads between its marks.
            var meanwhile: [String] = []
            /// The lines of all other threads.
            var others: [Substring] = []
            var faults = -1
            var allocations = -1
        }

        /// Lets a worker do it under strace(1), and keeps what lies between its two calls of getppid(2).
        private func trace(
            _ work: String,
            count: Int,
            payloadBytes: Int = 64,
            of scene: Scene,
            through options: [String] = []
        ) throws -> Trace {
            let file = scene.directory.appending("trace").string
            let process = try scene.worker(
                "count",
                ["--work", work, "--count", "\(count)", "--payload-bytes", "\(payloadBytes)"],
                through: ["/usr/bin/strace", "-f", "-qq", "-e", "signal=none", "-o", file] + options
            )
            var result = Trace()
            let line = try process.line(within: 60) ?? ""
            let words = line.split(separator: " ")
            try #require(words.count == 4 && words[0] == "faults", "the worker says: \(line)")
            result.faults = try #require(Int(words[1]))
            result.allocations = try #require(Int(words[3]))
            #expect(try process.wait(upTo: 60) == .exited(0))

            let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
            let marks = lines.indices.filter { lines[$0].contains(" getppid(") }
            try #require(marks.count >= 2, "the trace has no marks")
            let (first, last) = (marks[marks.count - 2], marks[marks.count - 1])
            let thread = lines[first].prefix { $0 != " " }
            result.others = lines.filter { !$0.hasPrefix(thread) }
            for line in lines[first + 1..<last] where !line.contains("resumed>") {
                let name = String(line.drop { $0 != " " }.drop { $0 == " " }.prefix { $0 != "(" })
                if line.hasPrefix(thread) { result.calls.append(name) } else { result.meanwhile.append(name) }
            }
            return result
        }
    }
}
