internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// Locks like those on bytes of a file, as semaphores that the kernel gives back when the process ends (`SEM_UNDO`,
/// semop(2)).
///
/// Value 0 is free; each holder adds 1. Exclusive is taken from 0 in one step with the 1. Shared adds 1 whatever the
/// value is: that is for the lock of the writers alone, which nobody holds exclusively outside the gate.
final class SemaphoreLocks: Sendable {
    let set: CInt
    private let first: CInt
    /// What is held through this object: `F_RDLCK` or `F_WRLCK`, by number.
    private let held = Mutex<[CInt: CInt]>([:])

    /// - Parameters:
    ///   - set: The semaphore set.
    ///   - first: The number of the semaphore that stands for byte 0.
    init(_ set: CInt, first: CInt = 0) {
        self.set = set
        self.first = first
    }

    deinit {
        // A forked child has none of the parent's undoing, and so nothing to give back.
        if ForkGuard.isForkedChild { return }
        for number in held.withLock({ $0.keys.map { $0 } }) { _ = mlog_sem_change(set, first + number, -1, 0) }
    }

    /// - Throws: What the system says, `identifierRemoved` or `invalidArgument` where the set is gone.
    /// - Returns: False when somebody else holds it.
    func tryLock(_ type: CInt, byte: CInt) throws(Errno) -> Bool {
        let result: Result<Bool, Errno> = held.withLock { held in
            do throws(Errno) { return .success(try change(&held, type, byte)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func change(_ held: inout [CInt: CInt], _ type: CInt, _ byte: CInt) throws(Errno) -> Bool {
        let before = held[byte] ?? F_UNLCK
        if before == type { return true }
        if type == F_UNLCK {
            _ = try SystemV.check(mlog_sem_change(set, first + byte, -1, 0))
            held[byte] = nil
            return true
        }
        if before == F_UNLCK {
            let status = mlog_sem_change(set, first + byte, 1, type == F_WRLCK ? 1 : 0)
            if status == -EAGAIN { return false }
            _ = try SystemV.check(status)
        } else if type == F_WRLCK, try value(byte) != 1 {
            return false
        }
        held[byte] = type
        return true
    }

    /// How many hold it, in all processes.
    func value(_ byte: CInt) throws(Errno) -> CInt { try SystemV.check(mlog_sem_value(set, first + byte)) }

    /// Whether the set is still there.
    var isCurrent: Bool { mlog_sem_value(set, first) >= 0 }
}
