import Foundation
import Glibc
import MappedLog
import SystemPackage
import Testing

/// Logs in memory, from the command line.
@Suite(.timeLimit(.minutes(5))) struct MediaTests {
    /// A log in memory that is not there yet; removed with the last reference.
    final class MemoryLog: Sendable {
        let name: String

        init(_ kind: String) {
            // Eight digits, as a key is printed.
            let number = UInt32.random(in: 0x1000_0000 ... .max)
            name = kind == "shm" ? "shm:mlog-test-\(getpid())-\(number)" : "sysv:0x\(String(number, radix: 16))"
        }

        deinit {
            guard let location = try? LogLocation(name) else { return }
            try? Maintenance.destroy(at: location, isForced: true)
        }
    }

    @Test("Every command takes a log in memory", arguments: ["shm", "sysv"])
    func takesAll(kind: String) async throws {
        let log = MemoryLog(kind)
        let directory = try TemporaryLog()
        let name = log.name
        func run(_ line: String) async throws -> Outcome {
            let outcome = try await Mlog.shell("set -o pipefail; " + line)
            #expect(outcome.status == 0, "\(line): \(outcome.errors)")
            #expect(outcome.errors == "", "\(line)")
            return outcome
        }
        _ = try await run("$mlog create \(name) --segment-size 64KiB --segments 3")
        _ = try await run("seq 100000 | $mlog append \(name)")
        #expect(try await run("$mlog tail -n 2 \(name)").lines == ["99999", "100000"])
        #expect(try await run("$mlog tail \(name) -n 3 --durable --reverse").lines == ["100000", "99999", "99998"])
        let info = try await run("$mlog info --json \(name)")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(info.output)) as? [String: Any])
        #expect(object["medium"] as? String == (kind == "shm" ? "sharedMemory" : "systemV"))
        #expect(object["nextSequence"] as? Int == 100_000)
        #expect(object["durablePosition"] as? Int == object["endPosition"] as? Int)
        #expect((object["segments"] as? [Any])?.count ?? 9 <= 4)
        #expect(try await run("$mlog verify \(name)").text.hasPrefix("whole: "))
        #expect(try await run("$mlog recover \(name)").text.hasPrefix("closed cleanly"))
        #expect(try await run("$mlog repair \(name)").text.hasPrefix("nothing was damaged"))
        #expect(try await run("$mlog tail --as bob --count 1 \(name)").lines.count == 1)
        #expect(try await run("$mlog tailers \(name)").text.contains("bob"))
        _ = try await run("$mlog tailers \(name) reset bob --to end && $mlog tailers \(name) remove bob")
        _ = try await run("$mlog snapshot \(name) \(directory.path)")
        #expect(try await run("$mlog tail -n 1 \(directory.path)").lines == ["100000"])
        #expect(try await run("$mlog verify \(directory.path)").text.hasPrefix("whole: "))
        #expect(try await run("$mlog retain --segments 1 \(name)").text.contains("removed"))
        for command in ["compact", "restore"] {
            let refused = try await Mlog.run(command, name)
            #expect(refused.status == 1)
            #expect(
                refused.errors.contains("compaction makes no sense") && refused.errors.contains("snapshot --compact")
            )
        }
        let other = MemoryLog(kind)
        _ = try await run("echo x | $mlog append --create \(other.name)")
        _ = try await run("$mlog create --like \(name) \(directory.path)2")
        let list = try await run("$mlog list \(kind)")
        for log in [log, other] { #expect(list.text.contains(log.name.replacing("sysv:0x", with: ""))) }
        let json = try await run("$mlog list --json")
        let logs = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [[String: Any]])
        #expect(
            logs.contains { ($0["location"] as? String)?.hasSuffix(log.name.replacing("sysv:0x", with: "")) == true }
        )
        _ = try await run("$mlog destroy --yes \(name)")
        #expect(try await Mlog.run("info", name).errors.contains("no log here"))
    }

    @Test("Destroying asks on a terminal, and needs --yes elsewhere", arguments: ["shm", "sysv", "file"])
    func asks(kind: String) async throws {
        let log = MemoryLog(kind)
        let directory = try TemporaryLog()
        let name = kind == "file" ? directory.path : log.name
        #expect(try await Mlog.run("create", name, "--segment-size", "64KiB").status == 0)
        let silent = try await Mlog.run("destroy", name)
        #expect(silent.status == 1 && silent.errors.contains("--yes"))
        for answer in ["\n", "n\n", "yes please\n"] {
            let refused = try await PseudoTerminal.shell("$mlog destroy \(name) <&2", input: answer)
            #expect(refused.status == 1)
            #expect(refused.text.contains("Remove the log \(name) with 0 records? [y/N]"))
            #expect(refused.text.contains("not removed"))
        }
        #expect(try await Mlog.run("info", name).status == 0)
        let accepted = try await PseudoTerminal.shell("$mlog destroy \(name) <&2", input: "y\n")
        #expect(accepted.status == 0, "\(accepted.text)")
        #expect(try await Mlog.run("info", name).status == 1)
        let gone = try await Mlog.run("destroy", "--yes", name)
        #expect(gone.status == 1 && gone.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test("A log with a writer is destroyed only by force", arguments: ["shm", "sysv"])
    func refusesWriters(kind: String) async throws {
        let log = MemoryLog(kind)
        let directory = try TemporaryLog()
        let outcome = try await RunningMlog.run(
            "append",
            "--create",
            log.name,
            in: directory.directory
        ) { writer in
            try await writer.write("one\n")
            try await eventually("The record appears") { try await Mlog.run("tail", log.name).lines == ["one"] }
            let refused = try await Mlog.run("destroy", "--yes", log.name)
            #expect(refused.status == 1 && refused.errors.contains("open for writing"))
            #expect(try await Mlog.run("list", kind).text.contains(/\ 1 +yes/))
            #expect(try await Mlog.run("destroy", "--yes", "--force", log.name).status == 0)
            #expect(try await Mlog.run("tail", log.name).status == 1)
            try await Task.sleep(for: .seconds(2))
            try await writer.write("two\n")
            try await writer.finishInput()
        }
        #expect(outcome.status == 1 && outcome.errors.contains("moved or replaced"))
    }

    // MARK: What the system may lack

    private static let isRoot = geteuid() == 0

    @Test(
        "What /dev/shm can't do is said, with what to do",
        .enabled(if: isRoot, "needs the right to mount (root)"),
        arguments: [
            ("mount -t tmpfs tmpfs /dev", "not on this medium", "mount -t tmpfs"),
            ("mount --bind /usr /dev/shm", "not on this medium", "mount -t tmpfs"),
            ("mount -t tmpfs -o size=30m tmpfs /dev/shm", "no space left", "--shm-size"),
            (
                "mount -t tmpfs -o size=64m tmpfs /dev/shm && dd if=/dev/zero of=/dev/shm/x bs=1M count=60", "no space",
                "mlog list"
            ),
            ("mount -t tmpfs -o ro tmpfs /dev/shm", "permission denied", "mount"),
        ]
    )
    func saysWhatIsMissing(mount: String, error: String, hint: String) async throws {
        let log = MemoryLog("shm")
        let line = "unshare -m --propagation private sh -c '(\(mount)) 2> /dev/null; $mlog create \(log.name)'"
        let outcome = try await Mlog.shell(line)
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains(error) && outcome.errors.contains(hint), "\(outcome.errors)")
        #expect(outcome.errors.filter { $0 == "\n" }.count == 1)
    }

    @Test(
        "The default log fits into the /dev/shm of a container",
        .enabled(if: isRoot, "needs the right to mount (root)")
    )
    func fitsIntoContainer() async throws {
        let log = MemoryLog("shm")
        let work = "seq 2000000 | $mlog append --create \(log.name) && $mlog tail -n 1 \(log.name)"
        let outcome = try await Mlog.shell(
            "unshare -m --propagation private sh -c 'mount -t tmpfs -o size=64m tmpfs /dev/shm; \(work)'"
        )
        #expect(outcome.lines == ["2000000"] && outcome.errors == "")
    }

    @Test(
        "A limit of System V that is reached is named",
        .enabled(if: isRoot, "needs the right to make namespaces (root)"),
        arguments: [
            ("echo 0 > /proc/sys/kernel/shmmni", "kernel.shmmni"),
            ("echo 1 > /proc/sys/kernel/shmmni", "kernel.shmmni"),
            ("echo 100000 > /proc/sys/kernel/shmmax", "kernel.shmmax"),
            ("echo 1000000 > /proc/sys/kernel/shmmax", "kernel.shmmax"),
            ("echo 500 > /proc/sys/kernel/shmall", "kernel.shmall"),
            ("echo 250 32000 32 0 > /proc/sys/kernel/sem", "kernel.sem"),
        ]
    )
    func namesLimit(limit: String, name: String) async throws {
        // The namespace and what is in it go with its last process.
        let line = "\(limit) && ($mlog create sysv:7; echo $? >&2; ipcs -ms | grep -c 0x)"
        let outcome = try await Mlog.shell("unshare --ipc sh -c '\(line)'")
        #expect(outcome.errors.contains("limit of the system") && outcome.errors.contains(name), "\(outcome.errors)")
        #expect(outcome.errors.hasSuffix("\n1\n"))
        #expect(outcome.text == "0\n", "nothing is left of it")
    }

    @Test("Each IPC namespace has logs of its own", .enabled(if: isRoot, "needs the right to make namespaces (root)"))
    func keepsToNamespace() async throws {
        let log = MemoryLog("sysv")
        #expect(try await Mlog.run("create", log.name, "--segment-size", "64KiB").status == 0)
        let outcome = try await Mlog.shell("unshare --ipc sh -c '$mlog list sysv; $mlog info \(log.name)'")
        #expect(outcome.text == "no logs in memory\n")
        #expect(outcome.status == 1 && outcome.errors.contains("no log here"))
    }

    @Test(
        "Another user's log is not opened by mistake, and in /dev/shm by name if it may be read",
        .enabled(if: isRoot, "needs to be root")
    )
    func keepsToUser() async throws {
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
        let key = MemoryLog("sysv")
        #expect(try await Mlog.run("create", key.name, "--segment-size", "64KiB").status == 0)
        for command in ["info", "create", "tail", "destroy --yes --force"] {
            let outcome = try await Mlog.shell("\(nobody) $mlog \(command) \(key.name)")
            #expect(outcome.status == 1 && outcome.errors.contains("taken by something else"), "\(outcome.errors)")
        }
        #expect(try await Mlog.shell("\(nobody) $mlog list").text == "no logs in memory\n")
        let open = MemoryLog("shm")
        let closed = MemoryLog("shm")
        for (log, mode) in [(open, "0644"), (closed, "0600")] {
            let line = "echo x | $mlog append --create \(log.name); $mlog destroy --yes \(log.name); "
            let made =
                "$mlog create --permissions \(mode) --segment-size 64KiB \(log.name); echo x | $mlog append \(log.name)"
            #expect(try await Mlog.shell(line + made).errors == "")
            // By the same name it has none of its own.
            #expect(try await Mlog.shell("\(nobody) $mlog tail \(log.name)").errors.contains("no log here"))
        }
        let byName = open.name.replacing("shm:", with: "shm:0/")
        #expect(try await Mlog.shell("\(nobody) $mlog tail \(byName)").lines == ["x"])
        #expect(try await Mlog.shell("echo y | \(nobody) $mlog append \(byName)").errors.contains("permission denied"))
        #expect(try await Mlog.shell("\(nobody) $mlog destroy --yes --force \(byName)").status == 1)
        #expect(try await Mlog.run("tail", open.name).lines == ["x"])
        let other = closed.name.replacing("shm:", with: "shm:0/")
        #expect(try await Mlog.shell("\(nobody) $mlog tail \(other)").errors.contains("permission denied"))
    }
}
