import ArgumentParser
import Glibc
import MappedLogTestSupport

/// Lets system calls fail, one after the other, and disks run full.
struct Faults: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets each system call fail, and disks run full.",
        discussion: """
            A process does everything once (create, open, append, roll, batch, sync, tail, commit, compact, retain, snapshot, \
            restore, close) while one system call of it fails: the first, the second, and so on. A failure names its \
            call: `--only KIND --call N` repeats it.
            """
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "Only this way to fail: io, noSpace, interrupted, tooManyFiles, noMemory, refused, short.")
    var only: String?
    @Option(help: "With --only: only this call.")
    var call: UInt64?

    func run() throws {
        if let obstacle = TracedProcess.obstacle { throw ValidationError(obstacle) }
        print("faults: seed \(campaign.seed)")
        var failures = 0
        for fault in FailingCalls.Fault.allCases where only ?? fault.rawValue == fault.rawValue {
            let count = try FailingCalls(fault).run(stride: call == nil ? 1 : .max, first: call ?? 0)
            failures += count.failures
            print(
                "\(fault.rawValue): \(count.failures) calls failed, of \(count.calls) in a run; \(count.reported) were reported"
            )
            fflush(nil)
        }
        if only == nil || only == "disks" { try disks() }
        print("faults: \(failures) failing calls, nothing refuted")
    }

    private func disks() throws {
        for kind in SmallDisk.Kind.allCases {
            if let obstacle = SmallDisk.obstacle(kind) {
                print("SKIPPED \(kind.rawValue): \(obstacle)")
                continue
            }
            let full = try FailingDisk(kind).runFull(leaving: stride(from: 0, to: 1200 << 10, by: 40 << 10))
            print("\(kind.rawValue): \(full.runs) full disks, \(full.failed) of which made something fail")
            print("\(kind.rawValue): full under an open log; \(try FailingDisk(kind).runFilling()) more appends")
            fflush(nil)
            if kind != .tmpfs {
                let durable = try FailingDisk(kind).runRefusing()
                print("\(kind.rawValue): a disk that refused flushes; \(durable) records were durable, and are there")
            }
        }
    }
}
