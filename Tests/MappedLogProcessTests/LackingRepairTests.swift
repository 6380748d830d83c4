import Glibc
import MappedLog
import MappedLogTestSupport
import Testing
import _CTestSupport

extension ProcessTests {
    /// Who finds that another has died, and can open no file to repair what it left.
    @Suite struct LackingRepairs {
        @Test(arguments: [false, true])
        func `a process without descriptors leaves the repair of an append to the next`(_ anotherRepairs: Bool) throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never))
            let lacking = try scene.worker("without-descriptors")
            #expect(try lacking.line(within: 20) == "ready")
            // The lacking process has none of the segments that follow.
            let log = try Log.open(at: scene.log, opening: OpenOptions(durability: .never))
            for _ in 0..<20 { try log.append([UInt8](repeating: 3, count: 10_000)) }
            let entry = scene.entry(for: 10)
            let dying = try scene.worker(
                "append-and-stop",
                ["--entry", "\(entry)", "--writer", "10", "--signal", "\(SIGKILL)"]
            )
            #expect(try dying.line(within: 20) == "ready")
            scene.board[.go] = 1
            #expect(try dying.wait(upTo: 20) == .killed(SIGKILL))
            #expect(try lacking.line(within: 20) == "without: errno \(EMFILE)")
            if anotherRepairs { try log.append([4]) }
            scene.board[.go] = 2
            #expect(try lacking.line(within: 20) == "with: done")
            #expect(try lacking.wait(upTo: 20) == .exited(0))
            try log.append([5])
            #expect(try log.nextSequence == (anotherRepairs ? 24 : 23))
            try log.close()
            #expect(try Maintenance.verify(at: scene.log).isWhole)
        }

        @Test(arguments: [false, true])
        func `a process without descriptors leaves the flush of a dead one to the next`(_ anotherFlushes: Bool) throws {
            let scene = try Scene(LogOptions(segmentSize: 65536, durability: .never))
            let lacking = try scene.worker("without-descriptors", ["--syncs"])
            #expect(try lacking.line(within: 20) == "ready")
            let log = try Log.open(at: scene.log, opening: OpenOptions(durability: .never))
            for _ in 0..<20 { try log.append([UInt8](repeating: 3, count: 10_000)) }
            let dying = try scene.worker("hold-flush-lock", ["--flushing"])
            try scene.wait(for: "the stop") { scene.board[.signal] == 1 && dying.state == "T" }
            dying.send(SIGKILL)
            #expect(try dying.wait(upTo: 20) == .killed(SIGKILL))
            scene.board[.go] = 1
            #expect(try lacking.line(within: 20) == "without: errno \(EMFILE)")
            if anotherFlushes { try log.sync() }
            scene.board[.go] = 2
            #expect(try lacking.line(within: 20) == "with: done")
            #expect(try lacking.wait(upTo: 20) == .exited(0))
            try log.append([5])
            try log.sync()
            #expect(try log.info().durablePosition == log.info().endPosition)
            try log.close()
        }
    }
}
