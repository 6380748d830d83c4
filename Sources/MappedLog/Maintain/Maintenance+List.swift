internal import Glibc
internal import SystemPackage
internal import _CMappedLog

extension Maintenance {
    /// The logs in memory that this user has; all users' for root.
    ///
    /// A look at each, which takes no lock.
    ///
    /// - Parameter medium: Which ones; nil: all in memory. Logs in files are wherever they were put: none is listed.
    /// - Throws: `forked`, `permissionDenied`, `io`.
    /// - Returns: The logs, by medium and name.
    public static func list(_ medium: LogLocation.Medium? = nil) throws(LogError) -> [ListedLog] {
        try ForkGuard.refuseForkedChild()
        var found: [ListedLog] = []
        if medium == nil || medium == .sharedMemory { found += try listSharedMemory() }
        if medium == nil || medium == .systemV { found += listSystemV() }
        return found
    }

    /// What the kernel lists, as far as it looks like one of ours.
    private static func listSystemV() -> [ListedLog] {
        let last = mlog_shm_last_index()
        var found: [ListedLog] = []
        for index in 0...max(last, 0) {
            var status = mlog_shm_status()
            guard unsafe mlog_shm_id_at(index, &status) >= 0, SystemVFinding.isOurs(status), status.key != 0,
                status.is_removed == 0,
                case .table(let table, _)? = try? SystemVFinding(status.key, path: "sysv:")
            else { continue }
            found.append(ListedLog(table, attached: status.attached))
        }
        return found.sorted { $0.location < $1.location }
    }

    private static func listSharedMemory() throws(LogError) -> [ListedLog] {
        let names: [String]
        do throws(Errno) { names = try SystemCall.names(in: SharedMemoryName.root) } catch .noSuchFileOrDirectory {
            return []
        } catch {
            throw .system(error, "opendir(3)", file: SharedMemoryName.root)
        }
        return names.sorted().compactMap { directory in
            guard let name = SharedMemoryName(directory: directory), geteuid() == 0 || name.owner == geteuid(),
                // What is somebody else's, or no directory, is no log.
                (try? name.identity()) != nil
            else { return nil }
            let place: LogPlace?
            var state = ListedLog.State.complete
            do throws(LogError) {
                place = try LogPlace(at: .sharedMemory(name.text))
            } catch {
                state = error.code == .earlierBoot ? .earlierBoot : .unfinished
                place = try? LogPlace(reading: .sharedMemory(name.text))
            }
            return ListedLog(name, place, state)
        }
    }
}

extension ListedLog {
    fileprivate init(_ table: SystemVTable, attached: UInt64) {
        let key = LogLocation.systemV(.number(table.key))
        let place = try? LogPlace(at: key)
        let header = table.header
        location = key.description
        medium = key.medium.rawValue
        state = table.isComplete && place != nil ? .complete : .unfinished
        id = place?.id.description
        bytes = UInt64(MLOG_TABLE_BYTES) + table.list.bytes(of: header.segment_bytes)
        writers = place?.medium.writersAlive()?.shared ?? 0
        isAttached = attached > 0
    }

    fileprivate init(_ name: SharedMemoryName, _ place: LogPlace?, _ state: State) {
        let directory = SharedMemoryMedium(name, permissions: .ownerReadWrite)
        let files = directory.allFiles()
        location = directory.location.description
        medium = directory.name
        self.state = state
        id = place?.id.description
        bytes = files.reduce(0) { $0 + $1.storedByteCount }
        writers = directory.writersAlive()?.shared ?? 0
        isAttached = writers > 0 || files.contains { (try? $0.isLocked()) == true }
    }
}
