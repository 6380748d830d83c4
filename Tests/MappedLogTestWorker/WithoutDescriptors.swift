import ArgumentParser
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CTestSupport

/// Appends or syncs behind somebody's death while it can open no file, and once more when it can.
struct WithoutDescriptors: ParsableCommand {
    @OptionGroup var place: Place
    /// Syncs instead.
    @Flag var syncs = false

    func run() throws {
        let board = try place.openBoard()
        let log = try Log.open(at: place.path, opening: OpenOptions(durability: .never))
        try log.append([1])
        say("ready")
        while board[.go] == 0 { test_sleep_ns(100_000) }
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let lowest = dup(0)
        close(lowest)
        var none = limit
        none.rlim_cur = rlim_t(lowest)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
        let lacking = attempt(log)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        say("without: \(lacking)")
        while board[.go] == 1 { test_sleep_ns(100_000) }
        say("with: \(attempt(log))")
        try log.close()
    }

    private func attempt(_ log: Log) -> String {
        do throws(LogError) {
            if syncs { try log.sync() } else { try log.append([2]) }
            return "done"
        } catch { return error.errno.map { "errno \($0.rawValue)" } ?? "\(error.code)" }
    }
}
