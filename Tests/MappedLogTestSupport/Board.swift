import Glibc
public import SystemPackage
import _CTestSupport

/// A file of words that a test and its worker processes share: what they want of each other, and what was
/// acknowledged, which stays readable after a worker was killed.
@safe public final class Board: Sendable {
    /// What a word in front of the entries is for.
    public enum Word: Int, Sendable {
        /// Not 0: appenders end.
        case stop
        /// Tailers end when they have read this many records.
        case target
        /// Not 0: what waits for a start starts.
        case go
        /// When a worker killed itself: `test_now_ns()`.
        case deathTime
        /// What a worker says by raising it.
        case signal
        /// How many locks were taken.
        case locks
        /// How many things a neighbour tried.
        case tries
    }

    /// One writer thread's, from the start of its process to its end.
    public enum Field: Int, Sendable {
        /// The counter of its first record. Set by the test.
        case start
        /// The counter behind the last record that it began to append.
        case begun
        /// The counter behind the last record whose append returned.
        case acknowledged
        /// The longest time between two acknowledgements, in nanoseconds.
        case longestGap
        /// Of a tailer: how many records it has read.
        case read
        /// How often an append failed with `writerStalled`.
        case stalls
        /// When the first append behind the last `deathTime` was acknowledged: `test_now_ns()`.
        case firstBehindDeath
    }

    /// How many entries there are.
    public static let entryCount = 16_000
    private static let headWords = 8
    private static let entryWords = 8
    private static let byteCount = (headWords + entryCount * entryWords) * 8

    private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>

    /// Opens the board, and makes it if it isn't there.
    public init(_ path: FilePath) throws {
        let file = try FileDescriptor.open(
            path,
            .readWrite,
            options: [.create, .closeOnExec],
            permissions: .ownerReadWrite
        )
        defer { try? file.close() }
        guard ftruncate(file.rawValue, Self.byteCount) == 0 else { throw Errno(rawValue: errno) }
        let mapped = unsafe mmap(nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw Errno(rawValue: errno) }
        unsafe words = mapped.assumingMemoryBound(to: UInt64.self)
    }

    deinit {
        unsafe munmap(words, Self.byteCount)
    }

    /// One of the words in front of the entries.
    public subscript(word: Word) -> UInt64 {
        get { unsafe test_load(words + word.rawValue) }
        set { unsafe test_store(words + word.rawValue, newValue) }
    }

    /// A field of an entry.
    public subscript(entry: Int, field: Field) -> UInt64 {
        get { unsafe test_load(address(entry, field)) }
        set { unsafe test_store(address(entry, field), newValue) }
    }

    /// Reads a field and sets it to 0.
    public func take(_ entry: Int, _ field: Field) -> UInt64 {
        unsafe test_exchange(address(entry, field), 0)
    }

    /// Makes a child that waits until a word is another than 0; false: none could be made.
    public func forkWaiting(for word: Word) -> Bool { unsafe test_fork_waiting(words + word.rawValue) > 0 }

    private func address(_ entry: Int, _ field: Field) -> UnsafeMutablePointer<UInt64> {
        precondition(entry >= 0 && entry < Self.entryCount, "an entry of the board")
        return unsafe words + Self.headWords + entry * Self.entryWords + field.rawValue
    }
}
