import ArgumentParser
import Glibc
import MappedLogTestSupport

/// Lets system calls fail, one after the other, and disks run full.
struct Faults: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets each system call fail, and disks run full.",
        discussion: """
            A process does everything once (create, open, append, roll, batch, sync, tail, commit, compact, retain, snapshot, \
            restore, close) while one system call of it fails. Which one comes next the seed chooses, until each has \
            failed in each way; then all again, until the time is over. Disks come first, for half of it at most. A failure \
            names its call: `--only KIND --call N` repeats it.
            """
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "Only this: io, noSpace, interrupted, tooManyFiles, noMemory, refused, short, flush, or disks.")
    var only: String?
    @Option(help: "With --only: only this call, once.")
    var call: UInt64?

    private struct Case {
        let fault: FailingCalls.Fault
        let call: UInt64
    }

    func validate() throws {
        let names = FailingCalls.Fault.allCases.map(\.rawValue)
        if let only, !(names + ["disks"]).contains(only) { throw ValidationError("there is no \(only) to fail") }
        if call != nil, only.map({ !names.contains($0) }) ?? true {
            throw ValidationError("--call is one of a kind: name that with --only")
        }
    }

    func run() throws {
        if only != "disks", let obstacle = TracedProcess.obstacle { throw ValidationError(obstacle) }
        print("faults: seed \(campaign.seed)")
        let (start, deadline) = (ContinuousClock.now, campaign.deadline)
        if let only, let call { return try repeatOne(FailingCalls(.init(rawValue: only)!), call) }
        var cases = 0
        if only == nil || only == "disks" {
            cases += try disks(until: only == nil ? start + .seconds(campaign.seconds) / 2 : deadline)
        }
        if only != "disks" { cases += try calls(until: deadline) }
        if cases == 0 { throw ValidationError("nothing was done: no time, or nothing that can be done here") }
        print("faults: \(cases) cases, nothing refuted")
    }

    private func repeatOne(_ campaign: FailingCalls, _ call: UInt64) throws {
        let count = try campaign.run(stride: .max, first: call)
        if count.failures == 0 { throw ValidationError("a run has \(count.calls) such calls, so no call \(call)") }
        print("faults: call \(call) failed, nothing refuted")
    }

    // MARK: Calls

    private func calls(until deadline: ContinuousClock.Instant) throws -> Int {
        var random = SeededGenerator(seed: campaign.seed)
        var all: [Case] = []
        for fault in FailingCalls.Fault.allCases where only ?? fault.rawValue == fault.rawValue {
            let number = try FailingCalls(fault).run(stride: .max, first: .max).calls
            all += (0..<number).map { Case(fault: fault, call: $0) }
        }
        var total = 0
        for round in 1... {
            var counts: [FailingCalls.Fault: FailingCalls.Count] = [:]
            var done = 0
            for one in all.shuffled(using: &random) {
                if .now >= deadline { break }
                let count = try FailingCalls(one.fault).run(stride: .max, first: one.call)
                counts[one.fault, default: .init()].failures += count.failures
                counts[one.fault, default: .init()].reported += count.reported
                done += 1
                total += count.failures
            }
            for fault in FailingCalls.Fault.allCases {
                guard let count = counts[fault] else { continue }
                let number = all.count { $0.fault == fault }
                print(
                    "\(fault.rawValue): \(count.failures) calls failed, of \(number) in a run; \(count.reported) were reported"
                )
            }
            print(
                done == all.count
                    ? "round \(round): all \(done)" : "round \(round): stopped after \(done) of \(all.count)"
            )
            fflush(nil)
            if .now >= deadline { break }
        }
        return total
    }

    // MARK: Disks

    private func disks(until deadline: ContinuousClock.Instant) throws -> Int {
        var random = SeededGenerator(seed: campaign.seed)
        var runs = 0
        for (number, kind) in SmallDisk.Kind.allCases.enumerated() {
            let share = (deadline - .now) / (SmallDisk.Kind.allCases.count - number)
            let end = ContinuousClock.now + share
            if let obstacle = SmallDisk.obstacle(kind) {
                print("SKIPPED \(kind.rawValue): \(obstacle)")
                continue
            }
            print("\(kind.rawValue): full under an open log; \(try FailingDisk(kind).runFilling()) more appends")
            if .now >= deadline {
                print("\(kind.rawValue): no time left for it")
                continue
            }
            if kind != .tmpfs {
                let durable = try FailingDisk(kind).runRefusing()
                print("\(kind.rawValue): a disk that refused flushes; \(durable) records were durable, and are there")
                runs += 1
            }
            let amounts = stride(from: 0, to: 1200 << 10, by: 40 << 10).shuffled(using: &random)
            var count = (runs: 0, failed: 0)
            for amount in amounts where .now < end {
                let full = try FailingDisk(kind).runFull(leaving: [amount])
                count.runs += full.runs
                count.failed += full.failed
            }
            runs += count.runs
            let stopped = count.runs < amounts.count ? "; stopped after \(count.runs) of \(amounts.count)" : ""
            print("\(kind.rawValue): \(count.runs) full disks, \(count.failed) of which made something fail\(stopped)")
            fflush(nil)
        }
        return runs
    }
}
