public import SystemPackage

/// Where a log lives: in a directory, or in memory that processes share.
///
/// Its text form is what the command `mlog` takes: `shm:NAME` is a log in `/dev/shm`, `sysv:KEY` one in System V shared
/// memory, and all else is the path of a directory. A directory that is called so is `./shm:NAME`.
/// `spec/media.md` says which is for what.
public enum LogLocation: Hashable, Sendable, CustomStringConvertible {
    /// A directory of a local file system: durable.
    case file(FilePath)
    /// A log in the tmpfs at `/dev/shm`, by its name: 1 to 64 of `A–Z a–z 0–9 . _ -`, the first a letter or digit.
    ///
    /// Each user has names of their own. `UID/NAME` is that of the user with this number: who names it trusts them.
    case sharedMemory(String)
    /// A log in System V shared memory, by the key of its table segment.
    case systemV(SystemVKey)

    /// Where a log of this kind keeps its segments.
    public enum Medium: String, Sendable, CaseIterable {
        /// In files.
        case file
        /// In POSIX shared memory.
        case sharedMemory
        /// In System V shared memory.
        case systemV
    }

    /// Reads the text form.
    ///
    /// - Parameter text: `shm:NAME`, `sysv:KEY`, `sysv:PATH#ID` or the path of a directory.
    /// - Throws: `invalidName` where it is none of them.
    public init(_ text: String) throws(LogError) {
        if let name = text.removingPrefix("shm:") {
            _ = try SharedMemoryName(name)
            self = .sharedMemory(name)
        } else if let key = text.removingPrefix("sysv:") {
            self = .systemV(try SystemVKey(key))
        } else if text.isEmpty {
            throw LogError(
                .invalidName,
                expected: "a path, shm:NAME or sysv:KEY",
                found: "nothing",
                advice: "say where the log is"
            )
        } else {
            self = .file(FilePath(text))
        }
    }

    /// Reads the text form from a path, as those entry points do that take one.
    ///
    /// - Parameter path: The path of a directory, or `shm:NAME`, `sysv:KEY`, `sysv:PATH#ID`.
    /// - Throws: As ``init(_:)-(String)``.
    public init(_ path: FilePath) throws(LogError) {
        let text = path.string
        if text.hasPrefix("shm:") || text.hasPrefix("sysv:") { try self.init(text) } else { self = .file(path) }
    }

    /// The medium.
    public var medium: Medium {
        switch self {
        case .file: .file
        case .sharedMemory: .sharedMemory
        case .systemV: .systemV
        }
    }

    /// The text form.
    public var description: String {
        switch self {
        case .file(let path): path.string
        case .sharedMemory(let name): "shm:\(name)"
        case .systemV(let key): "sysv:\(key)"
        }
    }

    /// The text form as a path, which every entry point that takes a path understands.
    public var path: FilePath { FilePath(description) }

    /// Whether the log goes with the machine's memory.
    public var isInMemory: Bool { medium != .file }
}

/// The key of a System V shared-memory segment: ftok(3), shmget(2).
public enum SystemVKey: Hashable, Sendable, CustomStringConvertible {
    /// The key itself; not 0, which is `IPC_PRIVATE`.
    case number(Int32)
    /// What `ftok(3)` makes of a file that is there, and of an id of 1 to 255.
    ///
    /// Another file in its place has another key.
    case file(FilePath, id: UInt8)

    /// Reads the text form.
    ///
    /// - Parameter text: A decimal number, a hexadecimal one behind `0x`, or `PATH#ID`.
    /// - Throws: `invalidName` where it is none of them.
    public init(_ text: String) throws(LogError) {
        let hexadecimal = text.lowercased().removingPrefix("0x")
        if let bits = hexadecimal.map({ UInt32($0, radix: 16) }) ?? UInt32(text), bits != 0 {
            self = .number(Int32(bitPattern: bits))
        } else if hexadecimal == nil, let number = Int32(text), number < 0 {
            self = .number(number)
        } else if let mark = text.lastIndex(of: "#"), mark > text.startIndex,
            let id = UInt8(text[text.index(after: mark)...]), id > 0
        {
            self = .file(FilePath(String(text[..<mark])), id: id)
        } else {
            throw LogError(
                .invalidName,
                expected:
                    "a key: a number other than 0, decimal or with 0x, of 32 bits, or PATH#ID with an ID of 1 to 255",
                found: "sysv:\(text)",
                advice: "give such a key"
            )
        }
    }

    /// The text form: the number with `0x`, or `PATH#ID`.
    public var description: String {
        switch self {
        case .number(let number): "0x\(UInt32(bitPattern: number).hexadecimal(digits: 8))"
        case .file(let path, let id): "\(path)#\(id)"
        }
    }
}

extension String {
    /// What follows a prefix; nil: it isn't there.
    fileprivate func removingPrefix(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
