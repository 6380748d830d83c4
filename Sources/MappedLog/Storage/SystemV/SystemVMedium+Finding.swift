internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension SystemVKey {
    /// The number that shmget(2) takes.
    ///
    /// - Throws: `notFound` where there is no file to make it of.
    func number() throws(LogError) -> Int32 {
        switch self {
        case .number(let number):
            guard number != 0 else { return try SystemVKey("0").number() }
            return number
        case .file(let path, let id):
            var key: Int32 = 0
            let status = unsafe path.withPlatformString { unsafe mlog_ftok($0, CInt(id), &key) }
            if status == 0, key != 0 { return key }
            throw LogError(
                .notFound,
                file: path,
                expected: "a file to make a key of",
                found: "none that ftok(3) takes",
                errno: Errno(rawValue: -status),
                advice: "make the file, or give the key as a number"
            )
        }
    }
}

/// What is found at a key.
enum SystemVFinding {
    case nothing
    /// A table that is this user's; whether it is complete it says itself.
    case table(SystemVTable, attached: UInt64)
    /// Size and owner are those of a table, but it is gone by now, or all zeros.
    case blank(id: CInt, attached: UInt64)

    /// Size, owner and magic are checked before anything else is believed.
    ///
    /// - Throws: `occupied` where it is something else, or somebody else's, which stays untouched; `permissionDenied`;
    ///   `foreignControl` where a version with another layout made it.
    init(_ key: Int32, path: FilePath) throws(LogError) {
        let found: CInt?
        do throws(Errno) { found = try SystemV.find(key) } catch { throw Self.denied(error, "shmget(2)", path) }
        guard let id = found else {
            self = .nothing
            return
        }
        let status: mlog_shm_status
        let segment: AttachedSegment
        do throws(Errno) {
            status = try SystemV.status(id)
            guard Self.isOurs(status) else { throw .notPermitted }
            segment = try AttachedSegment(id, isWritable: false)
        } catch  where SystemV.isGone(error) {
            self = .nothing
            return
        } catch {
            guard let status = try? SystemV.status(id) else { throw Self.denied(error, "shmctl(2)", path) }
            throw Self.isOurs(status) ? Self.denied(error, "shmat(2)", path) : Self.occupied(status, path)
        }
        let table = SystemVTable(segment, key: key, path: path)
        let header = table.header
        if header.claim == MLOG_TABLE_CLAIM {
            guard header.magic != MLOG_TABLE_MAGIC || header.layout_version == UInt32(MLOG_TABLE_LAYOUT) else {
                throw LogError(
                    .foreignControl,
                    file: path,
                    expected: "a table of layout \(MLOG_TABLE_LAYOUT)",
                    found: "\(header.layout_version)",
                    advice: "use the version of MappedLog that made the log"
                )
            }
            self = .table(table, attached: status.attached)
        } else if header.claim == 0, header.magic == 0 {
            self = .blank(id: id, attached: status.attached)
        } else {
            throw Self.occupied(status, path)
        }
    }

    /// A size that no other program is likely to choose, and an owner that is trusted: this user, or, for root, any.
    static func isOurs(_ status: mlog_shm_status) -> Bool {
        status.bytes == UInt64(MLOG_TABLE_BYTES) && (status.owner == geteuid() || geteuid() == 0)
    }

    private static func occupied(_ status: mlog_shm_status, _ path: FilePath) -> LogError {
        LogError(
            .occupied,
            file: path,
            expected: "the table of a log, \(MLOG_TABLE_BYTES) bytes of user \(geteuid())",
            found: "a segment of \(status.bytes) bytes of user \(status.owner)",
            advice: "choose another key; `ipcs -m` shows whose it is"
        )
    }

    private static func denied(_ errno: Errno, _ call: String, _ path: FilePath) -> LogError {
        guard errno == .permissionDenied else { return .system(errno, call, file: path) }
        return LogError(
            .occupied,
            file: path,
            expected: "a log of user \(geteuid())",
            found: "a segment that this user may not look at",
            errno: errno,
            advice: "choose another key; `ipcs -m` shows whose it is"
        )
    }
}

extension SystemVMedium {
    /// The log at a key, its options unread.
    ///
    /// - Throws: `notFound`, `notALog`; as ``SystemVFinding`` otherwise.
    init(_ key: SystemVKey, bound: Int?) throws(LogError) {
        let location = LogLocation.systemV(key)
        switch try SystemVFinding(key.number(), path: location.path) {
        case .table(let table, _) where table.isComplete:
            self.init(location: location, table: table, bound: bound)
        case .nothing:
            throw LogError(
                .notFound,
                file: location.path,
                expected: "a log at this key",
                found: "nothing",
                advice: "check the key (`mlog list sysv`), or make a log with `mlog create`"
            )
        case .table, .blank:
            throw LogError(
                .notALog,
                file: location.path,
                expected: "a complete table",
                found: "one whose creation or removal was interrupted, or goes on",
                advice: "try again; if it stays so, make the log with `mlog create`, or `mlog destroy \(location)`"
            )
        }
    }
}
