internal import Glibc
internal import SystemPackage

/// A log in a directory of the tmpfs at `/dev/shm`, with a bound, since memory has one.
///
/// Segments that were dropped are used again (`spec/protocol.md`, "Logs in memory"). Nothing here outlives the machine's
/// memory, so there is nothing to flush, and what recovery or repair cuts off is not kept.
struct SharedMemoryMedium: DirectoryMedium {
    let logName: SharedMemoryName
    let permissions: FilePermissions
    let identity: DirectoryIdentity?
    let bound: Int?

    /// What the name of a dropped segment's file begins with that waits to be used again.
    private static let sparePrefix = ".tmp-spare-"

    var path: FilePath { logName.directory }
    var location: LogLocation { .sharedMemory(logName.text) }
    var isPersistent: Bool { false }

    init(_ name: SharedMemoryName, permissions: FilePermissions, identity: DirectoryIdentity? = nil, bound: Int? = nil)
    {
        logName = name
        self.permissions = permissions
        self.identity = identity
        self.bound = bound
    }

    /// Its files, those that are being made among them, opened for a look.
    func allFiles() -> [OpenFile] {
        var files: [OpenFile] = []
        for directory in [path, liveDirectory, tailersDirectory] {
            for name in (try? names(in: directory)) ?? [] {
                if let file = try? OpenFile(directory.appending(name), O_RDONLY | O_NOFOLLOW) { files.append(file) }
            }
        }
        return files
    }

    // MARK: Used again

    /// The shared lock says that somebody maps the segment, for as long as somebody does.
    ///
    /// Then its name is looked at once more: who dropped it before may use it again, who does later sees the lock.
    func admit(_ segment: OpenFile) throws(LogError) -> Bool {
        try segment.tryLock(F_RDLCK) && segment.isCurrent()
    }

    /// A dropped segment that nobody maps becomes the spare one, if there is none yet; else its memory goes with its
    /// last mapping.
    func removeFile(_ file: FilePath) throws(LogError) {
        let spare = path.appending(Self.sparePrefix + UInt64.random(in: .min ... .max).hexadecimal(digits: 16))
        let isFirst = try spares().isEmpty
        try rename(file, to: spare)
        guard isFirst, let opened = try? OpenFile(spare, O_RDWR | O_NOFOLLOW, closedInChildren: true),
            (try? opened.tryLock(F_WRLCK)) == true
        else { return try unlink(spare) }
    }

    func makeUnpublished(byteCount: UInt64) throws(LogError) -> (OpenFile, FilePath?) {
        for spare in try spares() {
            // The name of its own is the claim: another process may be as far.
            let temporary = temporaryPath()
            do throws(LogError) { try rename(spare, to: temporary) } catch  where error.isAbsence { continue }
            do throws(LogError) {
                let file = try OpenFile(temporary, O_RDWR | O_NOFOLLOW)
                if file.byteCount == byteCount {
                    try file.changeMode(permissions.rawValue)
                    // Its pages are there already, which is what makes it cheaper than a new one.
                    try file.zero(0..<byteCount)
                    return (file, temporary)
                }
            } catch {
                try? unlink(temporary)
                throw error
            }
            try unlink(temporary)
        }
        return try allocateUnpublished(byteCount: byteCount)
    }

    private func spares() throws(LogError) -> [FilePath] {
        try names(in: path).filter { $0.hasPrefix(Self.sparePrefix) }.map { path.appending($0) }
    }

    // MARK: Nothing is kept

    func setAsideSegment(_ form: SegmentName) throws(LogError) -> FilePath? {
        try remove(form)
        return nil
    }

    func setAside(_ file: OpenFile, _ range: Range<UInt64>, position: UInt64) throws(LogError) -> FilePath? { nil }
}
