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

        @Test func `an append in steady state takes no system call, no page fault and no allocation`() throws {
            let scene = try Scene()
            let trace = try trace("append", count: Self.count, of: scene)
            #expect(trace.calls == [])
            #expect(trace.faults == 0)
            #expect(trace.allocations == 0)
        }

        @Test func `tailing takes no system call, no allocation, and no page fault but for 64 KiB at a time`() throws {
            let scene = try Scene()
            let trace = try trace("tail", count: Self.count, of: scene)
            #expect(trace.calls == [])
            // What the kernel maps around a page that is read for the first time (fault_around_bytes).
            #expect(trace.faults <= Self.count * 88 / 65536 + 1)
            #expect(trace.allocations == 0)
        }

        @Test func `a synced batch is flushed once`() throws {
            let scene = try Scene()
            let trace = try trace("sync", count: 20, of: scene)
            let flushes = trace.calls.filter { ["fdatasync", "fsync", "msync", "sync_file_range"].contains($0) }
            #expect(flushes == Array(repeating: "fdatasync", count: 20))
        }

        @Test func `an append that another thread waits for wakes it, by one system call`() throws {
            let scene = try Scene()
            #expect(try trace("contend", count: 20, of: scene).calls == Array(repeating: "futex", count: 20))
        }

        private struct Trace {
            /// The system calls of the thread that works, by name and in order.
            var calls: [String] = []
            var faults = -1
            var allocations = -1
        }

        /// Lets a worker do it under strace(1), and keeps what lies between its two calls of getppid(2).
        private func trace(_ work: String, count: Int, of scene: Scene) throws -> Trace {
            let file = scene.directory.appending("trace").string
            let process = try scene.worker(
                "count",
                ["--work", work, "--count", "\(count)"],
                through: ["/usr/bin/strace", "-f", "-qq", "-e", "signal=none", "-o", file]
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
            for line in lines[first + 1..<last] where line.hasPrefix(thread) && !line.contains("resumed>") {
                let call = line.dropFirst(thread.count).drop { $0 == " " }
                result.calls.append(String(call.prefix { $0 != "(" }))
            }
            return result
        }
    }
}
