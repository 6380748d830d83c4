internal import Glibc
internal import SystemPackage

/// What recovery and repair cut off.
extension DirectoryMedium {
    func setAsideSegment(_ form: SegmentName) throws(LogError) -> FilePath? {
        try checkIdentity()
        let source = path(of: form)
        try checkNoLink(lostAndFound)
        var copy = 0
        while true {
            let target = lostAndFound.appending(source.lastComponent!.string + (copy == 0 ? "" : ".\(copy)"))
            do throws(Errno) {
                try SystemCall.renameWithoutReplacing(source, to: target)
            } catch .fileExists {
                copy += 1
                continue
            } catch {
                throw .system(error, "renameat2(2)", file: source)
            }
            try OpenFile(lostAndFound, O_RDONLY | O_DIRECTORY).flush()
            try flushDirectory()
            return target
        }
    }

    func setAside(_ file: OpenFile, _ range: Range<UInt64>, position: UInt64) throws(LogError) -> FilePath? {
        try checkNoLink(lostAndFound)
        let name = position.hexadecimal(digits: 16) + ".cut"
        var copy = 0
        while true {
            let target = lostAndFound.appending(name + (copy == 0 ? "" : ".\(copy)"))
            let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
            let kept: OpenFile
            do throws(LogError) {
                kept = try OpenFile(target, flags, mode: 0o600)
            } catch  where error.errno == .fileExists {
                guard try Self.equal(file, range, target) else {
                    copy += 1
                    continue
                }
                // A recovery that was interrupted kept these very bytes already, maybe in the cache alone.
                try OpenFile(target, O_RDONLY | O_NOFOLLOW).flush()
                try OpenFile(lostAndFound, O_RDONLY | O_DIRECTORY).flush()
                return target
            }
            try kept.changeMode(permissions.rawValue)
            try Self.copy(file, range, to: kept)
            try kept.flush()
            try OpenFile(lostAndFound, O_RDONLY | O_DIRECTORY).flush()
            return target
        }
    }

    private static func copy(_ source: OpenFile, _ range: Range<UInt64>, to target: OpenFile) throws(LogError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let piece = unsafe UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(min(UInt64(buffer.count), range.upperBound - offset))]
            )
            // What is set aside may be what the disk can't read.
            let (count, _) = unsafe source.readWhatCanBeRead(into: piece, at: offset)
            if count == 0 { return }
            try unsafe target.write(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]),
                at: offset - range.lowerBound
            )
            offset += UInt64(count)
        }
    }

    private static func equal(_ source: OpenFile, _ range: Range<UInt64>, _ kept: FilePath) throws(LogError) -> Bool {
        let other = try OpenFile(kept, O_RDONLY | O_NOFOLLOW)
        guard other.byteCount == UInt64(range.count) else { return false }
        var offset: UInt64 = 0
        while offset < other.byteCount {
            let count = Int(min(1 << 20, other.byteCount - offset))
            let left = try source.read(count, at: range.lowerBound + offset)
            let right = try other.read(count, at: offset)
            if left.isEmpty || left != right { return false }
            offset += UInt64(count)
        }
        return true
    }
}
