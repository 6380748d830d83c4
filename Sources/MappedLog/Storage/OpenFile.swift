internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// An open file description, or what stands for one in System V shared memory; closed when the last reference goes.
///
/// Failures come as `LogError` with the file's path. Safe to share between threads.
final class OpenFile: Sendable {
    let path: FilePath
    let byteCount: UInt64
    /// −1 in System V shared memory.
    let descriptor: CInt
    /// What is read and written in its stead there.
    let memory: MemoryPiece?
    private let isClosedInChildren: Bool

    /// Opens a file.
    ///
    /// One that is to be locked is closed in forked children: an inherited descriptor would keep a dead parent's locks.
    init(_ path: FilePath, _ flags: CInt, mode: mode_t = 0, closedInChildren: Bool = false) throws(LogError) {
        do throws(Errno) {
            descriptor = try SystemCall.open(path, flags, mode: mode, closedInChildren: closedInChildren)
        } catch .tooManySymbolicLinkLevels where flags & O_NOFOLLOW != 0 {
            throw Self.notAFile(path, found: "a symbolic link")
        } catch .isDirectory {
            throw Self.notAFile(path, found: "a directory")
        } catch .tooManyUsers {
            throw LogError(
                .io,
                file: path,
                expected: "at most 1024 logs open for writing, and named tailers, in one process",
                found: "one more",
                advice: "close some"
            )
        } catch {
            throw .system(error, "open(2)", file: path)
        }
        self.path = path
        isClosedInChildren = closedInChildren
        memory = nil
        let type: mode_t
        do throws(Errno) {
            let status = try SystemCall.status(descriptor)
            byteCount = UInt64(max(0, status.st_size))
            type = status.st_mode & S_IFMT
        } catch {
            if closedInChildren { mlog_close_closing_in_children(descriptor) } else { Glibc.close(descriptor) }
            throw .system(error, "fstat(2)", file: path)
        }
        // The descriptor is closed with this object, which is whole by now.
        if type == S_IFREG || type == S_IFDIR && flags & O_DIRECTORY != 0 { return }
        throw Self.notAFile(path, found: type == S_IFDIR ? "a directory" : "something else")
    }

    /// - Parameters:
    ///   - path: What messages call it.
    ///   - memory: What it is.
    init(_ path: FilePath, _ memory: MemoryPiece) {
        self.path = path
        self.memory = memory
        byteCount = memory.byteCount
        descriptor = -1
        isClosedInChildren = false
    }

    static func notAFile(_ path: FilePath, found: String) -> LogError {
        LogError(
            .damaged,
            file: path,
            expected: "a regular file",
            found: found,
            advice: path.removingLastComponent().lastComponent == "live"
                ? "remove it while no process has the log open; the next one that opens it for writing makes it anew"
                : "move it out of the log, and restore the file from a copy or run `mlog repair`"
        )
    }

    deinit {
        guard descriptor >= 0 else { return }
        if isClosedInChildren { mlog_close_closing_in_children(descriptor) } else { Glibc.close(descriptor) }
    }

    /// Reads up to the end of the file; the count of bytes that were there.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LogError) -> Int {
        if let memory {
            let count = memory.available(buffer.count, from: offset)
            if count > 0 { unsafe buffer.baseAddress!.copyMemory(from: memory.start + Int(offset), byteCount: count) }
            return count
        }
        do throws(Errno) {
            return try unsafe SystemCall.read(descriptor, into: buffer, at: offset)
        } catch {
            throw .system(error, "pread(2)", file: path)
        }
    }

    /// Reads page by page where the disk can't read all: a page that it can't read is filled with zeros.
    ///
    /// - Returns: How many bytes there are before the end of the file, and which of them could not be read.
    func readWhatCanBeRead(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) -> (count: Int, failed: [Range<UInt64>]) {
        if let count = try? unsafe read(into: buffer, at: offset) { return (count, []) }
        var failed: [Range<UInt64>] = []
        var done = 0
        while done < buffer.count {
            let at = offset + UInt64(done)
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: buffer[done..<min(buffer.count, done + 4096 - Int(at % 4096))]
            )
            if let count = try? unsafe read(into: piece, at: at) {
                done += count
                if count < piece.count { return (done, failed) }
            } else {
                unsafe piece.initializeMemory(as: UInt8.self, repeating: 0)
                let range = at..<at + UInt64(piece.count)
                if let last = failed.last, last.upperBound == at {
                    failed[failed.count - 1] = last.lowerBound..<range.upperBound
                } else {
                    failed.append(range)
                }
                done += piece.count
            }
        }
        return (done, failed)
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(LogError) {
        if let memory {
            guard memory.segment.isWritable, memory.available(buffer.count, from: offset) == buffer.count else {
                throw .system(.permissionDenied, "shmat(2)", file: path)
            }
            if let bytes = buffer.baseAddress {
                unsafe (memory.start + Int(offset)).copyMemory(from: bytes, byteCount: buffer.count)
            }
            return
        }
        do throws(Errno) {
            try unsafe SystemCall.write(descriptor, buffer, at: offset)
        } catch {
            throw .system(error, "pwrite(2)", file: path)
        }
    }

    /// Writes the first `count` bytes.
    func write(_ bytes: [UInt8], count: Int? = nil, at offset: UInt64) throws(LogError) {
        let failure: LogError? = unsafe bytes.withUnsafeBytes { buffer in
            do throws(LogError) {
                try unsafe write(UnsafeRawBufferPointer(rebasing: buffer[..<(count ?? buffer.count)]), at: offset)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Writes the bytes of a layout's value.
    func write<Layout: BitwiseCopyable>(_ value: Layout, at offset: UInt64) throws(LogError) {
        try write(unsafe withUnsafeBytes(of: value) { unsafe Array($0) }, at: offset)
    }

    /// Reads bytes, up to the end of the file.
    func read(_ count: Int, at offset: UInt64) throws(LogError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { unsafe buffer.deallocate() }
        let done = try unsafe read(into: buffer, at: offset)
        return unsafe Array(buffer[..<done])
    }

    /// Writes zeros.
    func zero(_ range: Range<UInt64>) throws(LogError) {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(UInt64(zeros.count), range.upperBound - offset))
            try write(zeros, count: count, at: offset)
            offset += UInt64(count)
        }
    }

    /// Lets the kernel begin to write what is dirty in a range, so that a flush finds it written.
    ///
    /// A hint: who needs it on the disk flushes. It waits for no write, so that it takes no report of one that failed away
    /// from a flush through this descriptor (sync_file_range(2)).
    func startWriting(from offset: UInt64, byteCount: UInt64) {
        if memory == nil { mlog_start_writing(descriptor, offset, byteCount) }
    }

    /// Reads a layout's value; what lies behind the end of the file is 0.
    func read<Layout: BitwiseCopyable>(_ value: inout Layout, at offset: UInt64) throws(LogError) {
        try unsafe withUnsafeMutableBytes(of: &value) { buffer throws(LogError) in
            _ = try unsafe read(into: buffer, at: offset)
        }
    }

    /// Writes what is dirty, so many bytes at a time, each behind a call of `giveWay`, so that a flush behind it has little
    /// to do.
    ///
    /// Others' flushes needn't wait behind all of it. A failure is reported once, to this or to the flush.
    func writeOut(inPiecesOf piece: UInt64, giveWay: () -> Void) throws(LogError) {
        if memory != nil { return }
        for start in stride(from: 0, to: byteCount, by: Int(piece)) {
            let range = UInt64(start)..<min(UInt64(start) + piece, byteCount)
            giveWay()
            do throws(Errno) { try SystemCall.writeOut(descriptor, range) } catch {
                throw .system(error, "sync_file_range(2)", file: path)
            }
        }
    }

    /// `fdatasync(2)`.
    func flushData() throws(LogError) {
        if memory != nil { return }
        do throws(Errno) { try SystemCall.flushData(descriptor) } catch {
            throw .system(error, "fdatasync(2)", file: path)
        }
    }

    /// `fsync(2)`.
    func flush() throws(LogError) {
        if memory != nil { return }
        do throws(Errno) { try SystemCall.flush(descriptor) } catch {
            throw .system(error, "fsync(2)", file: path)
        }
    }

    /// Lets the disk begin with what is dirty in a range, so that a flush has less to wait for.
    func beginFlush(_ range: Range<UInt64>) throws(LogError) {
        if memory != nil { return }
        do throws(Errno) { try SystemCall.beginFlush(descriptor, range) } catch {
            throw .system(error, "sync_file_range(2)", file: path)
        }
    }

    /// Room for so many bytes, and for every later store to them (`spec/protocol.md`, "Who is a writer").
    func allocate(_ byteCount: UInt64) throws(LogError) {
        // All of its pages were there before it was published.
        if memory != nil { return }
        if self.byteCount == 0 { storeInPlace() }
        do throws(Errno) { try SystemCall.allocate(descriptor, byteCount) } catch {
            throw .system(error, "fallocate(2)", file: path)
        }
    }

    /// Of a file that nobody maps: who looked behind the new end would get SIGBUS.
    func truncate(_ byteCount: UInt64) throws(LogError) {
        if memory != nil { return }
        do throws(Errno) { try SystemCall.truncate(descriptor, byteCount) } catch {
            throw .system(error, "ftruncate(2)", file: path)
        }
    }

    /// Lets a file that is empty be written in its place where the file system would rather not.
    func storeInPlace() {
        if memory == nil { mlog_store_in_place(descriptor) }
    }

    func changeMode(_ mode: mode_t) throws(LogError) {
        if memory != nil { return }
        do throws(Errno) { try SystemCall.changeMode(descriptor, mode) } catch {
            throw .system(error, "fchmod(2)", file: path)
        }
    }

    /// Copies a range to the same offsets of another file.
    ///
    /// Blocks are shared, if asked to and where the file system can: the next store to one of them, in either file, needs
    /// room then.
    func copy(_ range: Range<UInt64>, to target: OpenFile, sharingBlocks: Bool) throws(LogError) {
        if let memory {
            let count = memory.available(range.count, from: range.lowerBound)
            let bytes = unsafe UnsafeRawBufferPointer(start: memory.start + Int(range.lowerBound), count: count)
            return try unsafe target.write(bytes, at: range.lowerBound)
        }
        do throws(Errno) {
            try SystemCall.copy(descriptor, to: target.descriptor, range, sharingBlocks: sharingBlocks)
        } catch {
            throw .system(error, "copy_file_range(2)", file: target.path)
        }
    }

    /// The offset of the first byte at or behind `offset` that is other than 0, or nil.
    func firstNonZero(from offset: UInt64) throws(LogError) -> UInt64? {
        var at = offset
        while at < byteCount, let data = nextData(from: at) {
            at = max(at, data)
            let piece = try read(1 << 16, at: at)
            if piece.isEmpty { return nil }
            if let found = piece.firstIndex(where: { $0 != 0 }) { return at + UInt64(found) }
            at += UInt64(piece.count)
        }
        return nil
    }

    /// The offset of the first byte at or behind `offset` that may be other than 0 (`lseek(2)`, `SEEK_DATA`): what was
    /// allocated but never written is skipped.
    ///
    /// Nil: only zeros are left.
    func nextData(from offset: UInt64) -> UInt64? {
        if memory != nil { return offset }
        let found = lseek(descriptor, off_t(offset), mlog_seek_data)
        if found < 0 { return SystemCall.lastError == .noSuchAddressOrDevice ? nil : offset }
        return UInt64(found)
    }
}
