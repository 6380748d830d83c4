import Glibc

/// What may be on the disk at one time of a history: of each file what is sure, and the later versions of its sectors,
/// each of which may be there or not; and the changes of names that may have happened or not.
struct DiskStates {
    struct File {
        let id: DiskHistory.FileID
        /// All that is sure, with space for what may be.
        let sure: [UInt8]
        /// The first one is sure.
        let sizes: [Int]
        /// By rising number.
        let sectors: [Sector]
    }

    struct Sector {
        let number: Int
        /// The later versions, the oldest first.
        let versions: [(time: Int, bytes: [UInt8])]
    }

    let time: Int
    let files: [File]
    /// The names without any change that isn't sure.
    private let history: DiskHistory
    let unsure: [Int]

    init(_ history: DiskHistory, at time: Int) {
        self.history = history
        self.time = time
        files = history.files.sorted { $0.key < $1.key }.compactMap { id, file in
            Self.file(id, file, time)
        }
        unsure = history.operations.indices.filter { index in
            let operation = history.operations[index]
            return operation.time <= time && (operation.durableTime ?? .max) > time
        }
    }

    private static func file(_ id: DiskHistory.FileID, _ file: FileHistory, _ time: Int) -> File? {
        guard let made = file.sizes.first, made.time <= time else { return nil }
        let floor = file.floor(at: time)
        let sizes = file.sizes(from: floor, to: time)
        var sure = file.initial
        let room = max(sizes.max() ?? 0, file.initial.count)
        sure += [UInt8](repeating: 0, count: room - sure.count)
        var later: [Int: [(time: Int, bytes: [UInt8])]] = [:]
        var floors: [Int: Int] = [:]
        func sureTime(_ sector: Int) -> Int {
            if file.failures.isEmpty { return floor }
            let page = sector / (FileHistory.pageBytes / DiskHistory.sectorBytes)
            if let known = floors[page] { return known }
            let own = file.floor(ofPage: page, at: time)
            floors[page] = own
            return own
        }
        for change in file.changes where change.time <= time {
            if change.time <= sureTime(change.sector) {
                sure.put(change.bytes, at: change.sector * DiskHistory.sectorBytes)
            } else {
                later[change.sector, default: []].append((change.time, change.bytes))
            }
        }
        let sectors = later.sorted { $0.key < $1.key }.map { Sector(number: $0.key, versions: $0.value) }
        return File(id: id, sure: sure, sizes: sizes, sectors: sectors)
    }

    // MARK: Names

    /// The sets of changes of names that may have happened: those up to each, in their order; and all but one, and
    /// what needs that one.
    var nameChoices: [Set<Int>] {
        var choices: [Set<Int>] = (0...unsure.count).map { Set(unsure.prefix($0)) }
        for dropped in unsure.dropLast() {
            var gone: Set<Int> = [dropped]
            var paths = Set(history.operations[dropped].paths)
            for later in unsure where later > dropped {
                let touched = history.operations[later].paths
                let needs = touched.contains { path in
                    paths.contains(path) || paths.contains { path.hasPrefix($0 + "/") }
                }
                if needs {
                    gone.insert(later)
                    paths.formUnion(touched)
                }
            }
            choices.append(Set(unsure).subtracting(gone))
        }
        return choices
    }

    /// The names if of the unsure changes just these have happened.
    func names(with happened: Set<Int>) -> (files: [String: DiskHistory.FileID], directories: Set<String>) {
        var names = history.names
        var directories = history.directories
        for (index, operation) in history.operations.enumerated() where operation.time <= time {
            if (operation.durableTime ?? .max) > time && !happened.contains(index) { continue }
            switch operation.kind {
            case .link(let path, let id): names[path] = id
            case .unlink(let path): names[path] = nil
            case .rename(let path, let target):
                if let id = names.removeValue(forKey: path) { names[target] = id }
            case .makeDirectory(let path): directories.insert(path)
            case .removeDirectory(let path): directories.remove(path)
            }
        }
        // What lies in a directory that isn't there isn't there either.
        directories.remove("")
        directories = directories.filter { path in
            var parent = path.parentDirectory
            while !parent.isEmpty {
                if !directories.contains(parent) { return false }
                parent = parent.parentDirectory
            }
            return true
        }
        names = names.filter { $0.key.parentDirectory.isEmpty || directories.contains($0.key.parentDirectory) }
        return (names, directories)
    }

    /// How many disks there are, with sectors whole; nil: more than `limit`.
    func count(upTo limit: Int) -> Int? {
        var count = nameChoices.count
        for file in files {
            for sector in file.sectors {
                count *= sector.versions.count + 1
                if count > limit { return nil }
            }
            count *= file.sizes.count
            if count > limit { return nil }
        }
        return count
    }
}

extension [UInt8] {
    mutating func put(_ bytes: [UInt8], at offset: Int) {
        unsafe withUnsafeMutableBytes { buffer in
            let count = Swift.min(bytes.count, buffer.count - offset)
            if count > 0 { unsafe memcpy(buffer.baseAddress! + offset, bytes, count) }
        }
    }
}
