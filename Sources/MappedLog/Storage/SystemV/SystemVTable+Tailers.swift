internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// The named tailers of a log in System V shared memory: a fixed number of places in the table.
extension SystemVTable {
    func namedTailerNames() throws(LogError) -> [String] {
        var names: [String] = []
        for number in 0..<Int(MLOG_TABLE_TAILERS) {
            if let name = try name(of: number), NamedTailerFile.isValidName(name) { names.append(name) }
        }
        return names.sorted()
    }

    func openNamedTailer(_ name: String, create: Bool, writable isWritable: Bool) throws(LogError) -> OpenFile? {
        if let number = try number(of: name) { return try open(number, name, writable: isWritable) }
        guard create else { return nil }
        let number = try change { _ throws(LogError) in
            // Asked again behind the lock: another process may have been faster.
            if let number = try self.number(of: name) { return number }
            for number in 0..<Int(MLOG_TABLE_TAILERS) where try self.name(of: number) == nil {
                let file = try place(number, writable: true)
                try file.zero(0..<file.byteCount)
                let start = MemoryLayout<mlog_table_tailer>.offset(of: \.name)!
                try file.write(Array(name.utf8), at: UInt64(start))
                flag(try writable(), number).store(1)
                return number
            }
            throw LogError(
                .diskFull,
                file: path,
                expected: "at most \(MLOG_TABLE_TAILERS) named tailers",
                found: "as many",
                advice: "remove one with `mlog tailers LOG remove NAME`"
            )
        }
        return try open(number, name, writable: true)
    }

    func removeNamedTailer(_ name: String) throws(LogError) {
        try change { _ throws(LogError) in
            guard let number = try number(of: name) else { return }
            flag(try writable(), number).store(0)
        }
    }

    private func open(_ number: Int, _ name: String, writable: Bool) throws(LogError) -> OpenFile {
        var piece = try piece(
            at: offset(of: number) + Int(MLOG_TABLE_TAILER_FILE_OFFSET),
            byteCount: Int(MLOG_TAILER_FILE_BYTES),
            writable: writable
        )
        piece.locks = SemaphoreLocks(try semaphores(), first: CInt(MLOG_SEMAPHORE_TAILERS) + CInt(number))
        return OpenFile(path.appending("tailers").appending(name), piece)
    }

    private func offset(of number: Int) -> Int {
        Int(MLOG_TABLE_TAILERS_OFFSET) + number * Int(MLOG_TABLE_TAILER_STRIDE)
    }

    private func place(_ number: Int, writable: Bool) throws(LogError) -> OpenFile {
        try file("tailers", at: offset(of: number), byteCount: Int(MLOG_TABLE_TAILER_STRIDE), writable: writable)
    }

    private func flag(_ segment: AttachedSegment, _ number: Int) -> SharedWord<UInt32> {
        unsafe SharedWord(segment.start + offset(of: number))
    }

    /// The name in a place; nil: it is empty.
    private func name(of number: Int) throws(LogError) -> String? {
        var raw = mlog_table_tailer()
        try place(number, writable: false).read(&raw, at: 0)
        guard raw.is_there == 1 else { return nil }
        let bytes = unsafe withUnsafeBytes(of: raw.name) { unsafe Array($0) }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private func number(of name: String) throws(LogError) -> Int? {
        for number in 0..<Int(MLOG_TABLE_TAILERS) where try self.name(of: number) == name { return number }
        return nil
    }
}
