import ArgumentParser
import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import _CMappedLog
import _CTestSupport

/// Takes the flusher lock of a log, as a flush does, and stops or sleeps with it.
struct HoldFlushLock: ParsableCommand {
    @OptionGroup var place: Place
    /// How long, in nanoseconds; 0: stops itself.
    @Option var hold: UInt64 = 0
    /// Leaves the mark of a flush that is under way.
    @Flag var flushing = false

    func run() throws {
        let board = try place.openBoard()
        let file = unsafe open(place.path.appending("live/control").string, O_RDWR)
        let memory = unsafe mmap(nil, Int(MLOG_CONTROL_BYTES), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        let mutex = unsafe memory! + MemoryLayout<mlog_control>.offset(of: \.flush_mutex)!
        guard unsafe mlog_mutex_trylock(mutex) == 0 else { throw ExitCode(4) }
        if flushing {
            let control = unsafe memory!.assumingMemoryBound(to: mlog_control.self)
            unsafe control.pointee.flushing = 1
        }
        board[.signal] = 1
        if hold == 0 { raise(SIGSTOP) } else { test_sleep_ns(hold) }
        _ = unsafe mlog_mutex_unlock(mutex)
    }
}
