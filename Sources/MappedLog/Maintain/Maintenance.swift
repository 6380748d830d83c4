public import SystemPackage
internal import _CMappedLog

/// What keeps a log whole: checking it, recovering it, and repairing what is damaged.
///
/// All of it may be called from any thread.
public enum Maintenance {
    /// Checks every byte of a log, and reports all damage.
    ///
    /// Only reads, with `pread(2)`: a bad sector is a finding, not a signal and not the end of the run. Works beside
    /// writers, of whose log it checks what was there when it began; in a directory that may not be written; on a
    /// network file system; and on a log that nobody has recovered, whose torn tail is a note and no damage.
    /// Complexity: O(*n*) in the bytes of the log; memory for one segment's index.
    ///
    /// - Parameters:
    ///   - path: The log's directory.
    ///   - progress: Called every few MiB with how far it has come; on the caller's thread.
    /// - Throws: `notFound`, `notALog`, `unsupportedVersion` (of `options.json`), `permissionDenied`, `io`; `damaged`
    ///   where neither `options.json` nor any segment tells what log this is. Damage in the log is no error.
    /// - Returns: What it found.
    public static func verify(
        at path: FilePath, progress: ((VerifyProgress) -> Void)? = nil
    ) throws(LogError) -> VerifyReport {
        let (place, optionsFault) = try LogPlace.checking(path)
        var attempts = 0
        while true {
            let (live, hint) = place.slots(place.medium.writersAlive())
            var verdict = try LogVerdict(
                LogCheck(place, live: live, hint: hint, progress: every(4 << 20, progress)))
            attempts += 1
            // Writers that came meanwhile have changed what it read.
            if live == nil, attempts < 5, place.medium.writersAlive()?.isAny == true { continue }
            try verdict.judgeTailers()
            return verdict.report(optionsFault)
        }
    }

    private static func every(
        _ step: UInt64, _ progress: ((VerifyProgress) -> Void)?
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
        if let optionsFault {
            report.findings.insert(
                Damage(
                    .options, file: check.place.medium.path.appending("options.json").string,
                    expected: optionsFault.expected ?? "the log's options",
                    found: optionsFault.found ?? optionsFault.description),
                at: 0)
        }
        return report
    }
}
