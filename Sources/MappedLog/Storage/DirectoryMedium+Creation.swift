internal import Glibc
internal import SystemPackage

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
        try makeDirectory(liveDirectory, directoryMode(permissions))
        try makeDirectory(tailersDirectory, directoryMode(permissions))
        try makeDirectory(lostAndFound, directoryMode(permissions))
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
