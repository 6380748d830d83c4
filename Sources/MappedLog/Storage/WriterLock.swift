internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// Who is a writer: open file description locks on bytes of `live/lock` (fcntl(2), `F_OFD_SETLK`).
///
/// Byte 0 is the gate, held for the length of an open or close; byte 1 is held by each writer, shared, and
/// exclusively by the first one while it recovers; byte 2 by who puts one form of a segment in the place of another;
/// byte 3, of a log in memory, by who adds or drops a segment. The kernel drops them with the last descriptor, so that
/// only a death ends them; in System V shared memory they are semaphores, which it undoes. The descriptor is never
/// mapped, and closed in forked children: either would keep a dead writer's lock alive.
final class WriterLock: Sendable {
    private let file: OpenFile

    /// - Parameter file: `live/lock`, which forked children close.
    init(_ file: OpenFile) { self.file = file }

    /// Whether the file that was locked is still the one of that name; a replaced one would split its users in two.
    func isCurrent() -> Bool { file.isCurrent() }

    /// Waits for the gate.
    ///
    /// - Throws: `recovering` when another process keeps it for the whole timeout.
    func lockGate(timeout: Duration) throws(LogError) {
        if try wait(timeout, for: MLOG_LOCK_GATE) { return }
        throw LogError(
            .recovering,
            file: file.path,
            expected: "the gate within \(timeout)",
            found: "it is held",
            advice: "wait for the other process, or find out why it does not go on"
        )
    }

    /// Waits until nobody else adds or drops a segment of this log in memory.
    ///
    /// Held until this object goes.
    ///
    /// - Throws: `writerStalled` when another process keeps it for the whole timeout.
    func lockWindow(timeout: Duration) throws(LogError) {
        if try wait(timeout, for: MLOG_LOCK_WINDOW) { return }
        throw LogError(
            .writerStalled,
            file: file.path,
            expected: "nobody else who adds or drops a segment within \(timeout)",
            found: "somebody",
            advice: "find the stopped or traced writer and continue or kill it"
        )
    }

    private func wait(_ timeout: Duration, for byte: Int) throws(LogError) -> Bool {
        let deadline = ContinuousClock.now + timeout
        var pause: UInt32 = 200
        while try !tryLock(F_WRLCK, byte) {
            guard ContinuousClock.now < deadline else { return false }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        return true
    }

    /// Takes the gate if it is free.
    func tryLockGate() throws(LogError) -> Bool {
        try tryLock(F_WRLCK, MLOG_LOCK_GATE)
    }

    func unlockGate() {
        _ = try? tryLock(F_UNLCK, MLOG_LOCK_GATE)
    }

    /// True: no other writer lives.
    ///
    /// Only inside the gate.
    func tryBecomeOnlyWriter() throws(LogError) -> Bool {
        try tryLock(F_WRLCK, MLOG_LOCK_WRITER)
    }

    /// From exclusive to shared in one step, or shared from nothing.
    ///
    /// Only inside the gate.
    func shareWriterLock() throws(LogError) {
        guard try tryLock(F_RDLCK, MLOG_LOCK_WRITER) else {
            throw LogError(
                .recovering,
                file: file.path,
                expected: "a shared writer lock",
                found: "an exclusive one",
                advice: "some program took a lock on this file without the gate: find and stop it"
            )
        }
    }

    func dropWriterLock() {
        _ = try? tryLock(F_UNLCK, MLOG_LOCK_WRITER)
    }

    /// True: nobody else compacts, restores or repairs this log.
    ///
    /// Held until this object goes.
    func tryBecomeCompactor() throws(LogError) -> Bool {
        try tryLock(F_WRLCK, MLOG_LOCK_COMPACTOR)
    }

    private func tryLock(_ type: CInt, _ byte: Int) throws(LogError) -> Bool {
        try file.tryLock(type, byte: CInt(byte))
    }
}
