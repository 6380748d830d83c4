import ArgumentParser
import Foundation
import Glibc
import MappedLog
import MappedLogTestSupport
import Synchronization
import SystemPackage
import _CTestSupport

/// Opens a log, forks, tries every call in the child, and says which of them did not throw `forked`.
struct Fork: ParsableCommand {
    @OptionGroup var place: Place
    @OptionGroup var opening: Opening

    func run() throws {
        let log = try opening.open(place.path)
        try log.append([1, 2, 3])
        var tailer = try log.tailer()
        var named = try log.tailer(named: "forked")
        let child = test_fork(0)
        if child == 0 {
            var wrong: [String] = []
            func check(_ name: String, _ body: () throws -> Void) {
                do {
                    try body()
                    wrong.append("\(name) succeeded")
                } catch let error as LogError {
                    if error.code != .forked { wrong.append("\(name) threw \(error.code.rawValue)") }
                } catch {
                    wrong.append("\(name) threw \(error)")
                }
            }
            check("append") { try log.append([4]) }
            check("append in another thread") { try inAnotherThread { try log.append([4]) } }
            check("append in place") { try log.append(reserving: 8) { _ in } }
            check("append of a batch") { try log.append(batch: [[4], [5]]) }
            check("sync") { try log.sync() }
            check("endPosition") { _ = try log.endPosition }
            check("nextSequence") { _ = try log.nextSequence }
            check("durablePosition") { _ = try log.durablePosition }
            check("tailer") { _ = try log.tailer() }
            check("next") { _ = try tailer.next() }
            check("previous") { _ = try tailer.previous() }
            check("wait") { _ = try tailer.wait(upTo: .milliseconds(1)) }
            check("seek") { try tailer.seek(to: .first) }
            check("a named tailer") { _ = try log.tailer(named: "audit") }
            check("namedTailers") { _ = try log.namedTailers() }
            check("resetNamedTailer") { try log.resetNamedTailer("audit", to: .first) }
            check("removeNamedTailer") { try log.removeNamedTailer("audit") }
            check("named next") { _ = try named.next() }
            check("named commit") { try named.commit() }
            check("named wait") { _ = try named.wait(upTo: .milliseconds(1)) }
            check("retain") { _ = try log.retain(Retention(segments: 100)) }
            check("snapshot") { _ = try log.snapshot(to: place.path.removingLastComponent().appending("copy")) }
            check("info") { _ = try log.info() }
            check("close") { try log.close() }
            let path = place.path
            let other = LogMedium(of: path).newPath(in: path.removingLastComponent(), "other")
            check("open") { _ = try Log.open(at: path) }
            check("openOrCreate") { _ = try Log.openOrCreate(at: other) }
            check("create") { _ = try Log.create(at: other) }
            check("openReadOnly") { _ = try Log.openReadOnly(at: path) }
            check("options") { _ = try LogOptions(ofLogAt: path) }
            check("verify") { _ = try Maintenance.verify(at: path) }
            check("recover") { _ = try Maintenance.recover(at: path) }
            check("repair") { _ = try Maintenance.repair(at: path) }
            check("static retain") { _ = try Maintenance.retain(at: path, rule: Retention(segments: 100)) }
            check("static snapshot") { _ = try Maintenance.snapshot(at: path, to: "/nowhere") }
            check("list") { _ = try Maintenance.list() }
            check("destroy") { try Maintenance.destroy(at: LogLocation(path), isForced: true) }
            if LogMedium(of: path) == .file {
                check("compact") { _ = try Compactor.compact(at: path) }
                check("restore") { _ = try Compactor.restore(at: path) }
            }
            say("child \(wrong.isEmpty ? "refused" : wrong.joined(separator: "; "))")
            _exit(0)
        }
        guard test_reap(child) == 0 else { throw ExitCode(4) }
        // The parent goes on as if nothing had been.
        try log.append([6])
        try log.close()
        say("done")
    }
}

/// What the body throws in a thread of its own.
private func inAnotherThread(_ body: @escaping @Sendable () throws -> Void) throws {
    let result = Mutex<Result<Void, any Error>>(.success(()))
    let isDone = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
        let outcome = Result { try body() }
        result.withLock { $0 = outcome }
        isDone.signal()
    }
    isDone.wait()
    try result.withLock { $0 }.get()
}

/// Opens a log, forks a child that lives on, and dies in the middle of an append.
struct ForkAndDie: ParsableCommand {
    @OptionGroup var place: Place
    @OptionGroup var opening: Opening

    func run() throws {
        let board = try place.openBoard()
        let log = try opening.open(place.path)
        let named = try log.tailer(named: "died")
        defer { withExtendedLifetime(named.name) {} }
        if test_fork(1) == 0 {
            // Bounded: nobody is left who would end it, and Swift may wait for a lock that another thread had.
            alarm(40)
            for _ in 0..<3000 where board[.stop] == 0 { test_sleep_ns(10_000_000) }
            board[.signal] = 2
            _exit(0)
        }
        try log.append(reserving: 100) { output in
            unsafe output.append(repeating: 0xAA, count: 50, as: UInt8.self)
            board[.deathTime] = test_now_ns()
            raise(SIGKILL)
        }
    }
}

/// Opens and closes named tailers in some threads, while another makes children that live on; then dies.
struct ForkBeside: ParsableCommand {
    static let threads = 4
    @OptionGroup var place: Place
    @Option var children = 150

    func run() throws {
        let board = try place.openBoard()
        let log = try Log.openReadOnly(at: place.path)
        for number in 0..<Self.threads {
            Thread.detachNewThread {
                while true {
                    do { _ = try log.tailer(named: "beside-\(number)") } catch {
                        say("error \(error)")
                        _exit(5)
                    }
                }
            }
        }
        for _ in 0..<children {
            guard board.forkWaiting(for: .stop) else { throw ExitCode(4) }
            test_sleep_ns(200_000)
        }
        raise(SIGKILL)
    }
}

/// Opens a log and a named tailer, and says how many descriptors of its child are lost to the child's own child.
struct ForkTwice: ParsableCommand {
    @OptionGroup var place: Place
    @OptionGroup var opening: Opening

    func run() throws {
        let log = try opening.open(place.path)
        let named = try log.tailer(named: "twice")
        say("lost \(test_lost_by_grandchild())")
        _ = named.name
        try log.close()
    }
}

/// Tries to open the log for writing, to create one inside it, and to append to one opened read-only.
struct TryToWrite: ParsableCommand {
    @OptionGroup var place: Place

    func run() throws {
        var codes: [String] = []
        do throws(LogError) {
            _ = try Log.open(at: place.path)
            codes.append("opened")
        } catch { codes.append(error.code.rawValue) }
        let log = try Log.openReadOnly(at: place.path)
        do throws(LogError) {
            try log.append([1])
            codes.append("appended")
        } catch { codes.append(error.code.rawValue) }
        do throws(LogError) {
            try log.sync()
            codes.append("synced")
        } catch { codes.append(error.code.rawValue) }
        say(codes.joined(separator: " "))
    }
}
