internal import Glibc
internal import SystemPackage

/// A log that is being made as a copy of another: nobody knows it yet, and it has no `options.json`.
extension FileMedium {
    /// Makes the directories of a copy; the running system's is not among them.
    ///
    /// That of the tailers is the claim: of two copies to one place the second finds it.
    func makeCopyDirectories() throws(LogError) {
        try makeDirectory(path, directoryMode(permissions))
        do throws(Errno) { try SystemCall.makeDirectory(tailersDirectory, mode: 0o700) } catch .fileExists {
            throw LogError(
                .notEmpty,
                file: path,
                expected: "an empty directory",
                found: "tailers",
                advice: "choose another path, or wait for the other copy"
            )
        } catch {
            throw .system(error, "mkdir(2)", file: tailersDirectory)
        }
        try OpenFile(tailersDirectory, O_RDONLY | O_DIRECTORY).changeMode(directoryMode(permissions).rawValue)
    }

    /// Makes the file of a segment, flushed, of a size that is known before.
    func make(
        _ form: SegmentName,
        byteCount: UInt64,
        fill: (OpenFile) throws(LogError) -> Void
    ) throws(LogError) {
        let file = try OpenFile(path(of: form), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        try file.changeMode(permissions.rawValue)
        try fill(file)
        try file.flush()
        let size = try OpenFile(path(of: form), O_RDONLY | O_NOFOLLOW).byteCount
        guard size == byteCount else {
            throw LogError(
                .truncatedSegment,
                file: file.path,
                expected: "\(byteCount) bytes",
                found: "\(size)",
                advice: "run `mlog verify` on the log"
            )
        }
    }

    /// Writes `options.json`, last of all, as it stands elsewhere.
    func publish(settings bytes: [UInt8]) throws(LogError) {
        let temporary = path.appending(".tmp-options")
        let file = try OpenFile(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        try file.changeMode(permissions.rawValue)
        try file.write(bytes, at: 0)
        try file.flush()
        try flushDirectory()
        let parent = path.removingLastComponent()
        try OpenFile(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY).flush()
        try rename(temporary, to: settingsPath)
        try flushDirectory()
    }

    /// Removes what a copy that failed has left, as far as that can be done.
    func removeUnfinishedLog(isNew: Bool) {
        // First of all it is no log any more.
        try? SystemCall.unlink(settingsPath)
        for name in (try? names(in: tailersDirectory)) ?? [] {
            try? SystemCall.unlink(tailersDirectory.appending(name))
        }
        try? SystemCall.removeDirectory(tailersDirectory)
        for name in (try? names(in: path)) ?? [] { try? SystemCall.unlink(path.appending(name)) }
        if isNew { try? SystemCall.removeDirectory(path) }
    }
}
