internal import SystemPackage
internal import _CMappedLog

/// What keeps a log whole: checking it, recovering it, and repairing what is damaged.
///
/// All of it may be called from any thread; in a forked child, before exec, it throws `forked`.
public enum Maintenance {
    /// Checks every byte of a log, and reports all damage.
    ///
    /// Only reads, with `pread(2)`: a bad sector is a finding, not a signal and not the end of the run. Works beside
    /// writers, of whose log it checks what was there when it began; in a directory that may not be written; on a
    /// network file system; and on a log that nobody has recovered, whose torn tail is a note and no damage.
    /// Complexity: O(*n*) in the bytes of the log; memory for one segment's index.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - progress: Called every few MiB with how far it has come; on the caller's thread.
    /// - Throws: `notFound`, `notALog`, `unsupportedVersion` (of `options.json`), `permissionDenied`, `io`; `damaged`
    ///   where neither `options.json` nor any segment tells what log this is. Damage in the log is no error.
    /// - Returns: What it found.
    public static func verify(
        at location: LogLocation,
        progress: ((VerifyProgress) -> Void)? = nil
    ) throws(LogError) -> VerifyReport {
        let (place, optionsFault) = try LogPlace.checking(location)
        var attempts = 0
        while true {
            let first = try place.medium.listSegments().first?.base
            let (live, hint) = place.slots(place.medium.writersAlive())
            var verdict = try LogVerdict(
                LogCheck(place, live: live, hint: hint, progress: every(4 << 20, progress))
            )
            attempts += 1
            // Writers that came meanwhile have changed what it read.
            if live == nil, attempts < 5, place.medium.writersAlive()?.isAny == true { continue }
            // Retention has removed what it was about to read.
            if attempts < 5, try place.medium.listSegments().first?.base != first { continue }
            try verdict.judgeTailers()
            verdict.judgeLive()
            return verdict.report(optionsFault)
        }
    }

    // MARK: Recover

    /// Recovers a log, as the next open for writing would, and closes it.
    ///
    /// Complexity: as that of ``Log/open(at:opening:)-(LogLocation,_)``.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - opening: What this open chooses for itself.
    /// - Throws: As ``Log/open(at:opening:)-(LogLocation,_)``.
    /// - Returns: What was found and done. Where writers have the log open, nothing is, and ``RecoveryReport/writersAlive`` says so.
    public static func recover(
        at location: LogLocation,
        opening: OpenOptions = OpenOptions()
    ) throws(LogError) -> RecoveryReport {
        var report = RecoveryReport()
        report.writersAlive = true
        let place = try LogPlace(at: location)
        if let writers = place.medium.writersAlive(), writers.shared > 0 { return report }
        let log = try Log.open(at: location, opening: opening)
        if let recovery = log.recovery { report = recovery }
        try log.close()
        return report
    }

    // MARK: Repair

    /// Mends damage that recovery refuses to touch, so that the log can be written again and read past the damage.
    ///
    /// What is overwritten or replaced is kept in `lost+found`. Records that are whole stay, with their positions and
    /// sequences; a tailer that comes to a damaged range gets `recordsGone` once, and goes on behind it. Then the log
    /// is recovered. Interrupted anywhere, it may be run again; where nothing is damaged it changes nothing. The log
    /// must have no writers; tailers may go on. Complexity: a few readings of the whole log.
    ///
    /// - Parameter location: Where the log is.
    /// - Throws: `writersAlive` where the log is open for writing; `unsupportedVersion`, `unsupportedFeature`,
    ///   `unsupportedSegment` where a newer version wrote to it; `notFound`, `notALog`, `networkFileSystem`,
    ///   `recovering`, `diskFull`, `permissionDenied`, `io`; `damaged` where neither `options.json` nor any segment
    ///   tells what log this is.
    /// - Returns: What was mended, what is lost, and where it is kept.
    public static func repair(at location: LogLocation) throws(LogError) -> RepairReport {
        let (place, optionsFault) = try LogPlace.checking(location)
        if case .file(let path) = location { try FileMedium.refuseNetworkFileSystem(path) }
        var report = try mend(place, optionsFault)
        report.unmended = try verify(at: location).findings
        report.mended.removeAll { report.unmended.contains($0) }
        if let left = report.unmended.first(where: { $0.kind != .namedTailer && $0.kind != .unsupported }) {
            throw LogError(
                .damaged,
                file: FilePath(left.file),
                position: left.position.map { Position(rawValue: $0) },
                expected: left.expected,
                found: left.found,
                advice: "repair could not mend this; restore the log from a copy, and see lost+found"
            )
        }
        return report
    }

    private static func mend(_ place: LogPlace, _ optionsFault: LogError?) throws(LogError) -> RepairReport {
        try place.medium.makeDirectories()
        let opening = OpenOptions()
        var repair: Repair
        do {
            let lock = try Writer.lockGate(place, opening.recoveryTimeout)
            defer { lock.unlockGate() }
            guard try lock.tryBecomeOnlyWriter() else {
                throw LogError(
                    .writersAlive,
                    file: place.medium.path,
                    expected: "no writers",
                    found: "some",
                    advice: "close the log in all processes that write to it, then repair it"
                )
            }
            defer { lock.dropWriterLock() }
            guard try lock.tryBecomeCompactor() else { throw LogError.compacting(place) }
            guard let file = try place.medium.openControl(writable: true) else {
                throw LogError.system(.permissionDenied, "open(2)", file: place.medium.path)
            }
            let control = try ControlBlock(file, writable: true)
            let system = try SystemIdentity.current()
            // What a failed flush left in the cache is recovery's matter.
            let isTrusted =
                !control.namesItself(place.id) || control.words.poison.load() == 0 && control.words.flushing.load() == 0
            repair = Repair(place, hint: place.slots(WritersAlive.none).hint)
            if let optionsFault { try repair.mendOptions(optionsFault) }
            var isChanged = false
            try repair.run { () throws(LogError) in
                isChanged = true
                control.beginRecovery(on: system, for: place.id)
                control.clearCleanClose()
                try control.file.flushData()
            }
            if isChanged && isTrusted { control.words.flushing.store(0) }
        }
        var report = repair.report
        report.recovery = try recover(at: place.medium.location, opening: opening)
        return report
    }

    private static func every(
        _ step: UInt64,
        _ progress: ((VerifyProgress) -> Void)?
    ) -> (UInt64, UInt64) -> Void {
        guard let progress else { return { _, _ in } }
        var last: UInt64 = 0
        return { done, total in
            guard done >= last + step || done == total && last != total else { return }
            last = done
            progress(VerifyProgress(bytesDone: done, bytesTotal: total))
        }
    }
}

extension LogVerdict {
    /// The report, with what is wrong with `options.json`.
    fileprivate func report(_ optionsFault: LogError?) -> VerifyReport {
        var report = report
        // As whoever closed it noted, if that is still its end.
        if !report.isLive, let closed = check.place.cleanClose, closed.tail == report.endPosition {
            report.durablePosition = max(report.durablePosition, closed.tail)
        }
        if let optionsFault {
            report.findings.insert(
                Damage(
                    .options,
                    file: check.place.medium.settingsPath.string,
                    expected: optionsFault.expected ?? "the log's options",
                    found: optionsFault.found ?? optionsFault.description
                ),
                at: 0
            )
        }
        return report
    }
}
