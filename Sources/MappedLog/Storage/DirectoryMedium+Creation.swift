internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension DirectoryMedium {
    /// Whether the creation of a log was finished here.
    var isComplete: Bool { (try? SystemCall.status(settingsPath)) != nil }

    /// Makes the directories.
    ///
    /// What is there of an unfinished creation is taken over.
    func makeDirectories() throws(LogError) {
        // A log that was opened and is gone by now is not made anew.
        try checkIdentity()
        try makeDirectory(path, directoryMode(permissions))
        for directory in [liveDirectory, tailersDirectory, lostAndFound] {
            try makeDirectory(directory, directoryMode(permissions))
            try checkNoLink(directory)
        }
    }

    /// Before a log is made of what is there: in a directory of somebody else's, he could replace everything later.
    ///
    /// - Throws: `occupied`.
    func checkOwners() throws(LogError) {
        for directory in [path, liveDirectory, tailersDirectory, lostAndFound] {
            let status: stat
            do throws(Errno) {
                status = try directory == path ? SystemCall.status(directory) : SystemCall.statusOfName(directory)
            } catch .noSuchFileOrDirectory {
                continue
            } catch {
                throw .system(error, "stat(2)", file: directory)
            }
            guard status.st_uid != geteuid(), status.st_uid != 0 else { continue }
            throw LogError(
                .occupied,
                file: directory,
                expected: "nothing, or a directory of this user or of root",
                found: "one of user \(status.st_uid)",
                advice: "have its owner remove it or create the log, or choose another path"
            )
        }
    }

    func makeDirectory(_ directory: FilePath, _ mode: FilePermissions) throws(LogError) {
        do throws(Errno) {
            try SystemCall.makeDirectory(directory, mode: 0o700)
        } catch .fileExists {
            return
        } catch {
            throw .system(error, "mkdir(2)", file: directory)
        }
        try OpenFile(directory, O_RDONLY | O_DIRECTORY).changeMode(mode.rawValue)
    }

    /// Writes `options.json`, last of all: it says that the log is complete.
    func publishSettings(_ settings: LogSettings) throws(LogError) {
        let temporary = temporaryPath()
        let file = try OpenFile(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        try file.changeMode(permissions.rawValue)
        try file.write(settings.encoded(), at: 0)
        try file.flush()
        try rename(temporary, to: settingsPath)
        try flushDirectory()
        try OpenFile(path.removingLastComponent().orCurrent, O_RDONLY | O_DIRECTORY).flush()
    }
}

extension FilePath {
    /// `.` where removing the last component left nothing.
    var orCurrent: FilePath { isEmpty ? "." : self }
}
