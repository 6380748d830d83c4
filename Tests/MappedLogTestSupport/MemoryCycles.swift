import Foundation
import MappedLog
import SystemPackage
import _CTestSupport

/// Logs in memory that are created, appended to, left by a process that is killed, and destroyed: what is left of them
/// would stay until the next boot.
public struct MemoryCycles: Sendable {
    private let medium: LogMedium

    /// Creates a campaign on one medium in memory.
    public init(on medium: LogMedium) { self.medium = medium }

    /// Goes through so many cycles, or until it is time.
    ///
    /// - Returns: How many there were, and in how many there was a log to destroy by then.
    /// - Throws: ``Refuted`` where anything is left.
    public func run(
        _ cycles: Int,
        until deadline: ContinuousClock.Instant? = nil,
        using random: inout SeededGenerator
    ) throws -> (cycles: Int, destroyed: Int) {
        let scene = try Scene(nil, on: medium)
        let location = try LogLocation(scene.log)
        let before = try traces()
        var destroyed = 0
        var count = 0
        while count < cycles, deadline.map({ .now < $0 }) ?? true, scene.entryCount + 1 < Board.entryCount {
            let appender = try scene.appender(0, ["--create", "65536", "--mix", "mixed"])
            // Some die before there is a log, or in its creation, most in the midst of appends.
            if Int.random(in: 0..<4, using: &random) > 0 {
                try scene.wait(for: "a first append") { scene.acknowledged(appender) > 0 || appender.process.hasEnded }
            } else {
                test_sleep_ns(UInt64.random(in: 4_000_000..<40_000_000, using: &random))
            }
            test_sleep_ns(UInt64.random(in: 0..<1_000_000, using: &random))
            let exit = appender.process.kill()
            guard exit == .killed(9) else { throw Refuted("an appender ended: \(appender.process.lastLine)") }
            if try destroy(location) { destroyed += 1 }
            count += 1
        }
        // What other programs on this machine have there may come and go.
        try scene.wait(for: "memory as it was", within: 60) { try traces().isSubset(of: before) }
        let listed = try Maintenance.list().map(\.location)
        guard !listed.contains(location.description) else { throw Refuted("\(location) is listed, and destroyed") }
        return (count, destroyed)
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
