import Glibc
import SystemPackage

/// A buffer before a descriptor, for output of very many small pieces.
///
/// A failure is kept and thrown by the next `check` or `flush`; what is written after it goes nowhere.
struct BufferedOutput: ~Copyable {
    private static let capacity = 256 * 1024

    private let descriptor: FileDescriptor
    private var buffer: [UInt8] = []
    private var failure: (any Error)?

    init(to descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    mutating func write(_ byte: UInt8) {
        buffer.append(byte)
        if buffer.count >= Self.capacity { drain() }
    }

    mutating func write(_ text: String) {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= Self.capacity { drain() }
    }

    mutating func write(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe write($0) }
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.capacity else {
            unsafe buffer.append(contentsOf: bytes)
            if buffer.count >= Self.capacity { drain() }
            return
        }
        // What fills the buffer anyway needn't be copied into it.
        drain()
        unsafe drain(bytes)
    }

    /// Writes a number in decimal digits, with zeros before it up to `width` digits.
    mutating func write(decimal number: UInt64, width: Int = 1) {
        let first = buffer.count
        var rest = number
        repeat {
            buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0 || buffer.count - first < width
        buffer[first...].reverse()
    }

    /// Throws what went wrong with the output so far.
    func check() throws {
        if let failure { throw failure }
    }

    /// Hands everything written so far to the system.
    mutating func flush() throws {
        drain()
        try check()
    }

    /// Finds out whether the reader of a pipe has gone, without writing to it.
    func checkReader() throws {
        var request = pollfd(fd: descriptor.rawValue, events: 0, revents: 0)
        if unsafe poll(&request, 1, 0) == 1, request.revents & Int16(POLLERR) != 0 { throw OutputClosed() }
    }

    private mutating func drain() {
        if buffer.isEmpty { return }
        // Taken out for the moment, so that the bytes can be read while `failure` is written.
        var full: [UInt8] = []
        swap(&full, &buffer)
        unsafe full.withUnsafeBytes { unsafe drain($0) }
        full.removeAll(keepingCapacity: true)
        swap(&full, &buffer)
    }

    private mutating func drain(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes[...]
        while failure == nil, unsafe !rest.isEmpty {
            do {
                let piece = unsafe UnsafeRawBufferPointer(rebasing: rest)
                let count = unsafe try descriptor.write(piece, retryOnInterrupt: false)
                unsafe rest = rest.dropFirst(count)
                // A signal cuts a write short where it would have gone on waiting for room.
                if unsafe !rest.isEmpty { noteInterruption() }
            } catch Errno.interrupted {
                noteInterruption()
            } catch Errno.wouldBlock {
                waitForRoom()
            } catch Errno.brokenPipe {
                failure = OutputClosed()
            } catch {
                let stream = descriptor == .standardError ? "standard error" : "standard output"
                failure = (error as? Errno).map { CommandFailure($0, on: stream) } ?? error
            }
        }
    }

    private mutating func noteInterruption() {
        if let signal = Interruption.signal { failure = Interrupted(signal: signal) }
    }

    /// Waits until a pipe that somebody else made non-blocking takes more, a tenth of a second at most.
    private func waitForRoom() {
        var request = pollfd(fd: descriptor.rawValue, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&request, 1, 100)
    }
}
