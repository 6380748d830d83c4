import Glibc
import SystemPackage

/// The bytes read from standard input that have not been appended yet.
///
/// Offsets count from the first of these bytes, and stay as they are when more are read.
struct InputBuffer: ~Copyable {
    enum ReadResult {
        case more
        case end
        case interrupted(signal: Int32)
    }

    private static let pieceSize = 256 * 1024

    private let descriptor: FileDescriptor
    private var storage: [UInt8]
    private var held: Range<Int> = 0..<0
    private(set) var isAtEnd = false

    init(reading descriptor: FileDescriptor) {
        self.descriptor = descriptor
        storage = [UInt8](repeating: 0, count: Self.pieceSize)
    }

    /// The number of bytes held.
    var count: Int { held.count }

    /// Whether reading now would not wait.
    var isReady: Bool { isReady(within: 0) }

    /// The offset of the first line feed at or behind `offset`.
    func lineFeed(from offset: Int) -> Int? {
        unsafe storage.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Int? in
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[(held.lowerBound + offset)..<held.upperBound])
            guard let start = rest.baseAddress, let found = unsafe memchr(start, 0x0A, rest.count) else { return nil }
            return unsafe UnsafeRawPointer(found) - start + offset
        }
    }

    /// The four bytes at `offset` as a number, the least significant first.
    func littleEndianUInt32(at offset: Int) -> UInt32 {
        let first = held.lowerBound + offset
        return storage[first..<first + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Lends the bytes in `range`.
    func withBytes<Result, Failure: Error>(
        in range: Range<Int>,
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let first = held.lowerBound + range.lowerBound
        return try unsafe body(storage.span.bytes.extracting(first..<first + range.count))
    }

    /// The bytes in each of `ranges`, not copied; drop them before anything is read.
    func slices(in ranges: [Range<Int>]) -> [ArraySlice<UInt8>] {
        ranges.map { storage[held.lowerBound + $0.lowerBound..<held.lowerBound + $0.upperBound] }
    }

    /// Gives up the first `count` bytes: offsets count from what follows.
    mutating func removeFirst(_ count: Int) {
        held = held.lowerBound + count..<held.upperBound
        if held.isEmpty { held = 0..<0 }
    }

    /// Reads what there is, and waits for it if there is nothing.
    mutating func readMore() throws(CommandFailure) -> ReadResult {
        makeRoom()
        while true {
            // In steps, since a signal just before the wait doesn't end it. The look comes after the wait, so that a
            // signal counts that came before the input ended.
            let isReady = isReady(within: 100)
            if let signal = Interruption.signal { return .interrupted(signal: signal) }
            if !isReady { continue }
            do {
                let end = held.upperBound
                let count = try unsafe storage.withUnsafeMutableBytes { bytes in
                    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[end...])
                    return unsafe try descriptor.read(into: room, retryOnInterrupt: false)
                }
                held = held.lowerBound..<end + count
                isAtEnd = count == 0
                return isAtEnd ? .end : .more
            } catch Errno.interrupted, Errno.wouldBlock {
                continue
            } catch {
                throw CommandFailure(error as? Errno ?? .ioError, on: "standard input")
            }
        }
    }

    private func isReady(within milliseconds: Int32) -> Bool {
        var request = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&request, 1, milliseconds) == 1
    }

    /// Moves what is held to the front, or takes twice the room if it is there already.
    private mutating func makeRoom() {
        if held.upperBound < storage.count { return }
        if held.lowerBound == 0 {
            storage.append(contentsOf: repeatElement(0, count: storage.count))
            return
        }
        let moved = held
        unsafe storage.withUnsafeMutableBytes { bytes in
            let source = unsafe UnsafeRawBufferPointer(rebasing: bytes[moved])
            unsafe bytes.copyMemory(from: source)
        }
        held = 0..<moved.count
    }
}
