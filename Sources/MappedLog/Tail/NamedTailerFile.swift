internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import _CMappedLog

/// The file that keeps a named tailer's place: two slots, of which the one that was flushed last is never written, so
/// that a torn write leaves it.
///
/// It is never replaced, since its open file description carries the lock that says who has the tailer open.
final class NamedTailerFile: Sendable {
    struct Place: Hashable, Sendable {
        var position: UInt64
        var sequence: UInt64
        /// Retention removes nothing that it has yet to read.
        var isProtecting: Bool
    }

    private static let advice =
        "set it anew with `mlog tailers LOG reset NAME --to …`, or forget it with `mlog tailers LOG remove NAME`"

    let file: OpenFile
    private let log: LogPlace
    private let forkGuard: ForkGuard
    /// The slot that is known to be on the disk; nil: nobody knows which.
    private let flushedSlot = Mutex<UInt64?>(nil)

    /// 1 to 64 letters, digits, `.`, `_` and `-` of ASCII; a letter or digit comes first.
    static func isValidName(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard (1...64).contains(name.utf8.count), let first = name.utf8.first, isAlphanumeric(first) else {
            return false
        }
        return name.utf8.allSatisfy { isAlphanumeric($0) || "._-".utf8.contains($0) }
    }

    /// Where any length is accepted, the file is to be removed, or to be given its own length.
    ///
    /// - Throws: `invalidName`; `damaged` where the file has another size; `notFound` where there is none and none is to be made.
    init(
        _ name: String,
        in log: LogPlace,
        create: Bool,
        writable: Bool,
        acceptsAnyLength: Bool = false
    ) throws(LogError) {
        guard Self.isValidName(name) else {
            throw LogError(
                .invalidName,
                file: log.medium.path,
                expected: "1 to 64 of A–Z a–z 0–9 . _ -, the first a letter or digit",
                found: name,
                advice: "choose another name"
            )
        }
        // One without bytes was begun, and its maker died or found the disk full: it never was a tailer.
        guard let file = try log.medium.openNamedTailer(name, create: create, writable: writable),
            create || acceptsAnyLength || file.byteCount > 0
        else {
            throw LogError(
                .notFound,
                file: log.medium.path,
                expected: "a tailer named \(name)",
                found: "none",
                advice: "`mlog tailers LOG` lists them"
            )
        }
        self.file = file
        self.log = log
        forkGuard = try ForkGuard()
        // One that was just made had no bytes when it was opened; nor has one whose making a crash cut short.
        guard acceptsAnyLength || file.byteCount == UInt64(MLOG_TAILER_FILE_BYTES) || file.byteCount == 0 else {
            throw LogError(
                .damaged,
                file: file.path,
                expected: "\(MLOG_TAILER_FILE_BYTES) bytes",
                found: "\(file.byteCount)",
                advice: Self.advice
            )
        }
    }

    /// Takes the tailer for this process, until the file, which was opened to be written, is closed.
    ///
    /// - Returns: False when it is open elsewhere.
    func tryLock() throws(LogError) -> Bool { try file.tryLock(F_WRLCK) }

    /// Gives the file its length, whatever was done to it: what it lacks is zeros, and what is too much goes.
    ///
    /// Nobody maps it, so nobody minds that it shrinks. Only the lock's holder.
    func restoreLength() throws(LogError) {
        let byteCount = UInt64(MLOG_TAILER_FILE_BYTES)
        if try file.currentByteCount() == byteCount { return }
        try file.truncate(byteCount)
        try file.allocate(byteCount)
    }

    /// Whether somebody holds the lock; a look, which takes nothing.
    func isLocked() throws(LogError) -> Bool { try file.isLocked() }

    /// The place that was stored last; nil when none ever was.
    ///
    /// - Throws: `damaged` when neither slot is whole though something stands there; `unsupportedFeature`.
    var place: Place? {
        get throws(LogError) { try newest()?.place }
    }

    /// Stores a place; durable when it returns, if asked to be.
    ///
    /// Only one at a time: the lock's holder.
    ///
    /// - Throws: `forked` in a forked child; `diskFull`, `io`.
    func store(_ place: Place, durably: Bool) throws(LogError) {
        try forkGuard.check()
        let newest = try? newest()
        var slot = mlog_tailer_slot()
        slot.magic = MLOG_TAILER_MAGIC
        slot.counter = (newest?.slot.counter ?? 0) &+ 1
        slot.position = place.position
        slot.sequence = place.sequence
        slot.flags = place.isProtecting ? MLOG_TAILER_PROTECTING : 0
        slot.crc = checksum(slot)
        // Never over the slot that a power cut would leave: a torn write would take the other one too.
        var flushed = flushedSlot.withLock { $0 }
        if flushed == nil, let newest {
            // A flush that failed may have left it in the cache alone, and clean: this one would not write it.
            try file.write(newest.slot, at: newest.number * UInt64(MLOG_TAILER_SLOT_STRIDE))
            try file.flushData()
            flushed = newest.number
        }
        let target = 1 - (flushed ?? 1)
        try file.write(slot, at: target * UInt64(MLOG_TAILER_SLOT_STRIDE))
        if durably {
            try file.flushData()
            flushed = target
        }
        flushedSlot.withLock { [flushed] in $0 = flushed }
    }

    private func newest() throws(LogError) -> (number: UInt64, slot: mlog_tailer_slot, place: Place)? {
        var best: (number: UInt64, slot: mlog_tailer_slot)?
        var isBlank = true
        for number in 0..<UInt64(2) {
            var slot = mlog_tailer_slot()
            try file.read(&slot, at: number * UInt64(MLOG_TAILER_SLOT_STRIDE))
            let isZero = unsafe withUnsafeBytes(of: slot) { unsafe $0.allSatisfy { $0 == 0 } }
            isBlank = isBlank && isZero
            guard slot.magic == MLOG_TAILER_MAGIC, slot.crc == checksum(slot) else { continue }
            if best == nil || slot.counter > best!.slot.counter { best = (number, slot) }
        }
        guard let (number, best) = best else {
            if isBlank { return nil }
            throw LogError(
                .damaged,
                file: file.path,
                expected: "a slot with a right CRC",
                found: "none",
                advice: Self.advice
            )
        }
        guard best.flags & ~MLOG_TAILER_PROTECTING == 0 else {
            throw LogError(
                .unsupportedFeature,
                file: file.path,
                expected: "no flag but 1",
                found: "0x\(best.flags.hexadecimal(digits: 16))",
                advice: "use a version of MappedLog that knows this feature"
            )
        }
        return (
            number, best,
            Place(
                position: best.position,
                sequence: best.sequence,
                isProtecting: best.flags & MLOG_TAILER_PROTECTING != 0
            )
        )
    }

    private func checksum(_ slot: mlog_tailer_slot) -> UInt32 {
        var checksum = Checksum()
        checksum.add(log.id.bytes)
        checksum.add(slot, first: 60)
        return checksum.value
    }
}
