import Glibc
import Synchronization
import SystemPackage
import _CDiskCalls

/// Records what this process does to the files below a directory: each flush and change of names as it happens, and
/// what was stored meanwhile, through mappings too, by looking at all files at each of these events.
///
/// One at a time. Other processes are not seen.
///
/// Its state changes on whatever thread makes a call, one call at a time (`disk_observe`).
final class DiskRecorder {
    /// Flushes that the record leaves out, as if the library had forgotten them: to see that this is noticed.
    struct Forgotten: Sendable {
        let isDirectory: Bool
        /// By path relative to the recorded directory, which itself is the empty string.
        let covers: @Sendable (String) -> Bool
    }

    private let prefix: String
    private let forgotten: Forgotten?
    var history = DiskHistory()
    var open: [DiskHistory.FileID: OpenedFile] = [:]
    private var directories: [DiskHistory.FileID: String] = [:]
    private var names: [String: DiskHistory.FileID] = [:]
    /// When the flushes began that are under way.
    var beginnings: [CInt: [Int]] = [:]
    private var timeOfLook = 0
    /// Set between events, called in them.
    private let watermark = Mutex<(@Sendable () -> UInt64?)?>(nil)
    /// The watermarks that were seen.
    private(set) var watermarks: [(time: Int, position: UInt64)] = []

    /// A file as it was last seen, through a descriptor of the recorder's own.
    struct OpenedFile {
        let descriptor: FileDescriptor
        var content: [UInt8]
        /// The name it had last.
        var path: String
    }

    /// Begins the record: what is there counts as being on the disk.
    init(_ root: FilePath, forgetting forgotten: Forgotten? = nil) throws {
        self.forgotten = forgotten
        prefix = root.string + "/"
        directories[try Self.status(root.string).st_ino] = ""
        try scan()
        history.names = names
        history.directories = Set(directories.values)
        unsafe disk_observe(
            { context, call in
                let recorder = unsafe Unmanaged<DiskRecorder>.fromOpaque(context!).takeUnretainedValue()
                unsafe recorder.note(call!.pointee)
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    /// Ends the record.
    func end() -> DiskHistory {
        disk_look()
        disk_observe(nil, nil)
        for file in open.values { try? file.descriptor.close() }
        open = [:]
        return history
    }

    deinit {
        disk_observe(nil, nil)
        for file in open.values { try? file.descriptor.close() }
    }

    /// Looks at all files now.
    ///
    /// - Returns: The time.
    @discardableResult func look() -> Int {
        disk_look()
        return timeOfLook
    }

    // MARK: The start

    private func scan() throws {
        for (path, status) in try contents(below: String(prefix.dropLast())) {
            if status.isDirectory {
                directories[status.st_ino] = path
            } else {
                names[path] = status.st_ino
                let file = try openFile(prefix + path, O_RDONLY)
                let content = try read(file)
                open[status.st_ino] = OpenedFile(descriptor: file, content: content, path: path)
                history.files[status.st_ino] = FileHistory(initial: content, sizes: [(0, content.count)])
            }
        }
    }

    private static func status(_ path: String) throws -> stat {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw Errno(rawValue: errno) }
        return status
    }

    // MARK: Events

    private func note(_ call: disk_call) {
        let path = unsafe call.path.map { unsafe String(cString: $0) }.flatMap(relative)
        let target = unsafe call.target.map { unsafe String(cString: $0) }.flatMap(relative)
        let kind = unsafe call.kind
        defer { noteWatermark() }
        let (descriptor, flags) = unsafe (call.descriptor, call.flags)
        switch kind {
        case DISK_CALL_LOOK:
            lookAtAll()
            timeOfLook = history.time
        case DISK_CALL_OPENED:
            if let path { opened(descriptor, path, flags: flags) }
        case DISK_CALL_CHANGED:
            if let id = identity(descriptor)?.id {
                look(at: id)
                unsafe dirtied(id, from: Int(call.offset), byteCount: call.count)
            }
        case DISK_CALL_WILL_FLUSH:
            lookAtAll()
            beginnings[descriptor, default: []].append(history.time)
        case DISK_CALL_FLUSHED:
            flushed(descriptor)
        case DISK_CALL_NOT_FLUSHED:
            notFlushed(descriptor)
        case DISK_CALL_POPULATED:
            unsafe populated(UInt(bitPattern: call.address), byteCount: call.count)
        case DISK_CALL_LINKED:
            guard let target, let id = identity(descriptor)?.id ?? path.flatMap({ names[$0] }) else { return }
            change(.link(target, id))
        case DISK_CALL_RENAMED:
            if let path, let target { change(.rename(path, target)) }
        case DISK_CALL_UNLINKED:
            if let path { change(.unlink(path)) }
        case DISK_CALL_MADE_DIRECTORY:
            guard let path, let status = try? Self.status(prefix + path) else { return }
            directories[status.st_ino] = path
            change(.makeDirectory(path))
        case DISK_CALL_REMOVED_DIRECTORY:
            if let path { change(.removeDirectory(path)) }
        default: break
        }
    }

    /// At each event, in the midst of flushes too, the log's durable watermark is read in this way; nil: it isn't.
    func observe(watermark read: (@Sendable () -> UInt64?)?) {
        watermark.withLock { $0 = read }
    }

    private func noteWatermark() {
        guard let position = watermark.withLock({ $0?() }), position != watermarks.last?.position else { return }
        watermarks.append((history.time, position))
    }

    private func relative(_ path: String) -> String? {
        path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path + "/" == prefix ? "" : nil
    }

    func identity(_ descriptor: CInt) -> (id: DiskHistory.FileID, isDirectory: Bool)? {
        var status = stat()
        guard descriptor >= 0, unsafe fstat(descriptor, &status) == 0 else { return nil }
        return (status.st_ino, status.st_mode & S_IFMT == S_IFDIR)
    }

    private func opened(_ descriptor: CInt, _ path: String, flags: CInt) {
        guard let (id, isDirectory) = identity(descriptor), !isDirectory, open[id] == nil else { return }
        // A description of its own: a copy of the descriptor would keep the file's locks.
        guard let file = try? openFile("/proc/self/fd/\(descriptor)", O_RDONLY) else { return }
        history.time += 1
        history.files[id] = FileHistory(sizes: [(history.time, 0)])
        open[id] = OpenedFile(descriptor: file, content: [], path: path)
        // Else it has no name yet.
        if flags & O_CREAT != 0 { change(.link(path, id)) }
    }

    private func flushed(_ descriptor: CInt) {
        guard let began = beginnings[descriptor]?.removeFirst(), let (id, isDirectory) = identity(descriptor) else {
            return
        }
        history.time += 1
        if isDirectory {
            guard let path = directories[id], forgotten?.forgets(path, isDirectory) != true else { return }
            let ended = history.time
            for index in history.operations.indices where history.operations[index].time <= began {
                history.operations[index].flush(path, at: ended)
            }
        } else if let file = open[id], forgotten?.forgets(file.path, isDirectory) != true {
            let ended = history.time
            history.files[id]?.flushes.append(.init(began: began, ended: ended))
        }
    }

    private func change(_ kind: NameOperation.Kind) {
        lookAtAll()
        history.time += 1
        history.operations.append(NameOperation(kind, time: history.time))
        switch kind {
        case .link(let path, let id):
            names[path] = id
            open[id]?.path = path
        case .unlink(let path): names[path] = nil
        case .rename(let path, let target):
            names[target] = names.removeValue(forKey: path)
            if let id = names[target] { open[id]?.path = target }
        case .makeDirectory, .removeDirectory: break
        }
    }

    // MARK: Versions

    private func lookAtAll() {
        for id in open.keys { look(at: id) }
    }

    private func look(at id: DiskHistory.FileID) {
        guard var file = open[id], let now = try? read(file.descriptor) else { return }
        if now.count != file.content.count {
            history.time += 1
            let time = history.time
            history.files[id]?.sizes.append((time, now.count))
            file.content += [UInt8](repeating: 0, count: max(0, now.count - file.content.count))
            file.content.removeLast(file.content.count - now.count)
        }
        let changed = sectorsThatDiffer(file.content, now)
        if !changed.isEmpty { history.time += 1 }
        let time = history.time
        for sector in changed {
            let start = sector * DiskHistory.sectorBytes
            let bytes = Array(now[start..<min(start + DiskHistory.sectorBytes, now.count)])
            history.files[id]?.changes.append(.init(time: time, sector: sector, bytes: bytes))
        }
        file.content = now
        open[id] = file
    }
}

extension DiskRecorder.Forgotten {
    fileprivate func forgets(_ path: String, _ isDirectory: Bool) -> Bool {
        self.isDirectory == isDirectory && covers(path)
    }
}

extension NameOperation {
    mutating func flush(_ directory: String, at time: Int) {
        guard durableTime == nil else { return }
        unflushed.remove(directory)
        if unflushed.isEmpty { durableTime = time }
    }
}
