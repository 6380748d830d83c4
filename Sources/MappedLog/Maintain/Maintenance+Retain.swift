internal import SystemPackage

extension Maintenance {
    /// Removes old segments of a log, once.
    ///
    /// Works beside writers and tailers. A tailer that has yet to read what goes gets `recordsGone`, once, with the
    /// sequences, and goes on at the first record that is left; one that is inside a removed segment reads it to its
    /// end. Interrupted anywhere it leaves a readable log. Complexity: O(*n*) in the number of segments, and two
    /// flushes of the directory for each that goes.
    ///
    /// - Parameters:
    ///   - location: Where the log is.
    ///   - rule: What stays.
    ///   - isDryRun: Whether to say only what would be removed.
    /// - Throws: `compacting` where somebody else compacts, restores, removes, copies or repairs; `invalidOptions`;
    ///   `recovering` where another process takes too long to open or close the log; `notFound`, `notALog`,
    ///   `permissionDenied`, `io`; as ``Log/openReadOnly(at:)-(LogLocation)`` where the log can't be read; `damaged` where a named
    ///   tailer can't be.
    /// - Returns: What was removed, and whether a named tailer kept more from going.
    public static func retain(
        at location: LogLocation,
        rule: Retention,
        isDryRun: Bool = false
    ) throws(LogError) -> RetentionReport {
        try Retaining(LogPlace(at: location), rule, isDryRun: isDryRun).run(patience: OpenOptions().recoveryTimeout)
    }
}

extension Log {
    /// Removes old segments, once, as ``Maintenance/retain(at:rule:isDryRun:)-(LogLocation,_,_)``.
    ///
    /// - Parameters:
    ///   - rule: What stays.
    ///   - isDryRun: Whether to say only what would be removed.
    /// - Throws: As ``Maintenance/retain(at:rule:isDryRun:)-(LogLocation,_,_)``; `forked`.
    /// - Returns: What was removed, and whether a named tailer kept more from going.
    @discardableResult
    public func retain(_ rule: Retention, isDryRun: Bool = false) throws(LogError) -> RetentionReport {
        let place = try checkedReader().log
        return try Retaining(place, rule, isDryRun: isDryRun).run(patience: OpenOptions().recoveryTimeout)
    }
}
