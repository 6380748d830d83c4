/// What happened to the files of a directory while it was recorded: which versions of which sectors there were, which
/// flushes, which names.
///
/// A *time* is a number that rises with each event.
struct DiskHistory {
    /// What can be torn: `spec/format.md`, "Assumptions about the disk", lets writes tear anywhere; see
    /// ``ImageChooser`` for tears inside of it.
    static let sectorBytes = 512

    /// The names at the start, by path relative to the directory.
    var names: [String: FileID] = [:]
    var directories: Set<String> = []
    var files: [FileID: FileHistory] = [:]
    var operations: [NameOperation] = []
    var time = 0

    /// An inode number.
    typealias FileID = UInt
}

/// The versions of one file.
struct FileHistory {
    struct Change {
        let time: Int
        let sector: Int
        /// Shorter than a sector at the end of a file.
        let bytes: [UInt8]
    }

    struct Flush {
        /// When it began: what had been written by then is on the disk once it has ended.
        let began: Int
        let ended: Int
    }

    /// The content at the start of the record, all of it on the disk.
    var initial: [UInt8] = []
    var changes: [Change] = []
    /// Sizes from the start on.
    var sizes: [(time: Int, byteCount: Int)] = []
    var flushes: [Flush] = []
    /// Flushes that failed: what was dirty counts as clean from then on, and isn't on the disk.
    var failures: [Int] = []
    /// Pages that were made dirty, whether or not a byte changed; known from the first failure on.
    var dirtied: [(time: Int, pages: Range<Int>)] = []

    static let pageBytes = 4096

    /// What is surely on the disk at a time is everything up to this one.
    func floor(at time: Int) -> Int {
        flushes.lazy.filter { $0.ended <= time }.map(\.began).max() ?? 0
    }

    /// As ``floor(at:)``, of one page, in a file of which a flush has failed.
    ///
    /// A page that the failure made clean is written by none of the flushes that follow, until it is dirty once more.
    func floor(ofPage page: Int, at time: Int) -> Int {
        let perPage = Self.pageBytes / DiskHistory.sectorBytes
        let changed = changes.lazy.filter { $0.sector / perPage == page }.map(\.time)
        let dirty = Array(changed) + dirtied.filter { $0.pages.contains(page) }.map(\.time)
        var (floor, cleanSince): (Int, Int?) = (0, nil)
        for flush in flushes.filter({ $0.ended <= time }).sorted(by: { $0.ended < $1.ended }) {
            for failure in failures
            where failure <= flush.began && dirty.contains(where: { floor < $0 && $0 <= failure }) {
                cleanSince = max(cleanSince ?? 0, failure)
            }
            if let since = cleanSince, !dirty.contains(where: { since < $0 && $0 <= flush.began }) { continue }
            cleanSince = nil
            floor = max(floor, flush.began)
        }
        return floor
    }

    /// The sizes that the file may have.
    func sizes(from floor: Int, to time: Int) -> [Int] {
        let sure = sizes.last { $0.time <= floor }?.byteCount ?? 0
        return [sure] + sizes.filter { $0.time > floor && $0.time <= time }.map(\.byteCount)
    }
}

/// A change of names: it has happened on the disk once every directory it touches was flushed.
struct NameOperation {
    enum Kind {
        case link(String, DiskHistory.FileID)
        case unlink(String)
        case rename(String, String)
        case makeDirectory(String)
        case removeDirectory(String)
    }

    let kind: Kind
    let time: Int
    /// The directories that have yet to be flushed.
    var unflushed: Set<String>
    var durableTime: Int?

    init(_ kind: Kind, time: Int) {
        self.kind = kind
        self.time = time
        unflushed = []
        unflushed = Set(paths.map { $0.parentDirectory })
    }

    var paths: [String] {
        switch kind {
        case .link(let path, _), .unlink(let path), .makeDirectory(let path), .removeDirectory(let path): [path]
        case .rename(let path, let target): [path, target]
        }
    }
}

extension String {
    /// Of a relative path; the top directory is the empty string.
    var parentDirectory: String {
        guard let slash = lastIndex(of: "/") else { return "" }
        return String(self[..<slash])
    }
}
