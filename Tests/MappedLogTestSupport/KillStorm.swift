import Foundation
import Glibc
import MappedLog
import SystemPackage
import _CTestSupport

/// Real processes that append, tail, compact, remove and copy, and that are killed, stopped and continued at random,
/// beside one that takes every lock it can get; an oracle compares what each was told with what tailers saw.
///
/// In memory nobody compacts or copies, and nobody but writers can take a lock: there all victims append or tail.
public final class KillStorm {
    /// What was done, and what came of it.
    public struct Count: Sendable, CustomStringConvertible {
        /// Processes killed, by what they did.
        public var kills: [String: Int] = [:]
        /// How often a process was stopped and continued.
        public var stops = 0
        /// How many locks the taker got.
        public var locksTaken: UInt64 = 0
        /// Records whose append had returned, all of which were seen.
        public var acknowledged: UInt64 = 0
        /// Records of killed appenders that were seen all the same.
        public var unacknowledged: UInt64 = 0
        /// Processes killed, in all.
        public var allKills: Int { kills.values.reduce(0, +) }
        /// All of it, for a person.
        public var description: String {
            let roles = kills.sorted { $0.key < $1.key }.map { "\($0.value) of a \($0.key)" }.joined(separator: ", ")
            return "\(allKills) kills (\(roles)), \(stops) stops, \(locksTaken) locks taken, \(acknowledged) records "
                + "acknowledged and \(unacknowledged) more seen"
        }

        /// Creates a count of nothing.
        public init() {}
    }

    private let medium: LogMedium
    private let scene: Scene
    private var random: SeededGenerator
    private var count = Count()
    private var victims: [Victim?] = Array(repeating: nil, count: 7)
    private let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    private struct Victim {
        let role: String
        let process: ChildProcess
        let appender: Appender?
    }

    /// Creates the log.
    public init(seed: UInt64, on medium: LogMedium = .file) throws {
        self.medium = medium
        random = SeededGenerator(seed: seed)
        var options = LogOptions(segmentSize: 64 << 10, durability: .never)
        if medium == .file { options.permissions = [.ownerReadWrite, .groupRead, .otherRead] }
        scene = try Scene(options, on: medium)
        // The board is the test's own means, for another user too.
        _ = unsafe chmod(scene.directory.string, 0o777)
        _ = unsafe chmod(scene.directory.appending("board").string, 0o666)
    }

    /// Goes on until it is time, or so many processes were killed.
    ///
    /// - Throws: ``Refuted``.
    public func run(until deadline: ContinuousClock.Instant, kills: Int = .max) throws -> Count {
        let tailers = try [
            scene.tailer(["--protecting", "first"]), scene.tailer(["--read-only", "--protecting", "second"]),
        ]
        let steady = try [0, 1].map { try scene.appender($0, ["--mix", "mixed", "--pace", "200000"]) }
        var steadyProcesses = steady.map(\.process)
        if medium == .file {
            // The same user may take locks that others need.
            if geteuid() == 0 {
                steadyProcesses.append(try scene.worker("take-locks", ["--read-only"], through: nobody))
            } else {
                print("SKIPPED: another user who takes locks needs root")
            }
        }
        for process in steadyProcesses {
            guard try process.line(within: 20) == "ready" else { throw Refuted("a process could not start") }
        }
        while .now < deadline, count.allKills < kills, Self.hasRoom(scene) {
            let place = Int.random(in: 0..<victims.count, using: &random)
            if let victim = victims[place] { try kill(victim) }
            victims[place] = try start(place)
            if Int.random(in: 0..<4, using: &random) == 0 { stopOne(steady) }
            for process in steadyProcesses + tailers.map(\.process) where process.hasEnded {
                throw Refuted("a process ended that nobody killed: \(process.lastLine)")
            }
        }
        for victim in victims { victim?.process.kill() }
        count.locksTaken = scene.board[.locks]
        return try finish(steady, tailers)
    }

    // The board has an entry for each appender's thread that ever was.
    private static func hasRoom(_ scene: Scene) -> Bool { scene.entryCount + 64 < Board.entryCount }

    // MARK: Victims

    private func start(_ place: Int) throws -> Victim {
        switch place {
        case 3 where medium == .file:
            return Victim(role: "maintainer", process: try scene.worker("maintain", copies), appender: nil)
        case 6 where medium == .file:
            // Beside the one that changes the forms of what it copies.
            return Victim(
                role: "copier",
                process: try scene.worker("maintain", copies + ["--only-copies"]),
                appender: nil
            )
        case 4:
            let entry = scene.entry(named: "named tailer")
            let process = try scene.worker("tail-named", ["--name", "third", "--entry", "\(entry)"])
            return Victim(role: "named tailer", process: process, appender: nil)
        case 5:
            return Victim(role: "forking appender", process: try scene.worker("fork-and-die"), appender: nil)
        default:
            let durability = ["never", "interval", "everyAppend"].randomElement(using: &random)!
            let appender = try scene.appender(
                UInt32(10 + 10 * place),
                threads: 2,
                ["--durability", durability, "--mix", "mixed", "--pace", "20000"]
            )
            return Victim(role: "appender", process: appender.process, appender: appender)
        }
    }

    private var copies: [String] { ["--copies", scene.directory.string] }

    private func kill(_ victim: Victim) throws {
        // Some die while they start, most in the midst of what they do.
        if Int.random(in: 0..<8, using: &random) > 0, victim.role != "forking appender" {
            try scene.wait(for: "a \(victim.role) to begin") {
                // No line within the time is no line yet.
                victim.process.hasEnded || ((try? victim.process.line(within: 0.001)) ?? nil) == "ready"
            }
        }
        test_sleep_ns(UInt64.random(in: 0..<8_000_000, using: &random))
        let exit = victim.process.kill()
        guard exit == .killed(SIGKILL) else { throw Refuted("a \(victim.role) ended: \(victim.process.lastLine)") }
        count.kills[victim.role, default: 0] += 1
    }

    /// Stops a process for a moment, wherever it stands.
    private func stopOne(_ steady: [Appender]) {
        let all = steady.map(\.process) + victims.compactMap { $0?.process }
        let process = all.randomElement(using: &random)!
        process.send(SIGSTOP)
        test_sleep_ns(UInt64.random(in: 0..<10_000_000, using: &random))
        process.send(SIGCONT)
        count.stops += 1
    }

    // MARK: The end

    private func finish(_ steady: [Appender], _ tailers: [TailerProcess]) throws -> Count {
        scene.board[.stop] = 1
        for appender in steady where try appender.process.wait(upTo: 60) != .exited(0) {
            throw Refuted("an appender that nobody killed failed: \(appender.process.lastLine)")
        }
        let log = try Log.open(at: scene.log)
        try log.sync()
        guard try log.durablePosition == log.endPosition else { throw Refuted("sync() left the end not durable") }
        let records = try log.nextSequence
        try log.close()
        let reports = try scene.finish(tailers, records: records)
        guard reports[0].digest == reports[1].digest else { throw Refuted("two tailers saw different logs") }
        let verdict = try scene.check(reports[0])
        try scene.check(reports[1])
        let report = try Maintenance.verify(at: scene.log)
        guard report.isWhole else { throw Refuted("damage: \(report.findings)") }
        count.acknowledged = verdict.acknowledged
        count.unacknowledged = verdict.unacknowledged
        return count
    }
}
