/// Finds the records in what was read.
struct RecordSplitter {
    private let format: InputFormat
    private let maximumRecordSize: Int
    /// Where the next record begins.
    private(set) var offset = 0
    /// Up to where no line feed was found.
    private var searched = 0
    /// How many records were found so far.
    private(set) var count: UInt64 = 0

    init(format: InputFormat, maximumRecordSize: Int) {
        self.format = format
        self.maximumRecordSize = maximumRecordSize
    }

    /// Finds the next whole record; `nil` if more has to be read first.
    mutating func next(in buffer: borrowing InputBuffer) throws(CommandFailure) -> Range<Int>? {
        let record =
            switch format {
            case .lines: try nextLine(in: buffer)
            case .lengthPrefixed: try nextPrefixed(in: buffer)
            }
        if record != nil { count += 1 }
        return record
    }

    /// Accounts for the removal of everything found so far from the buffer.
    mutating func foundWasRemoved() {
        offset = 0
        searched = 0
    }

    private mutating func nextLine(in buffer: borrowing InputBuffer) throws(CommandFailure) -> Range<Int>? {
        if let end = buffer.lineFeed(from: max(offset, searched)) {
            return try found(offset..<end, followedBy: end + 1)
        }
        searched = buffer.count
        let unfinished = offset..<buffer.count
        try check(size: unfinished.count)
        // The last line is a record without its line feed too.
        guard buffer.isAtEnd, !unfinished.isEmpty else { return nil }
        return try found(unfinished, followedBy: unfinished.upperBound)
    }

    private mutating func nextPrefixed(in buffer: borrowing InputBuffer) throws(CommandFailure) -> Range<Int>? {
        let left = buffer.count - offset
        if buffer.isAtEnd, left == 0 { return nil }
        guard left >= 4 else {
            if buffer.isAtEnd { throw truncated("\(left) of the 4 bytes of its length") }
            return nil
        }
        let size = Int(buffer.littleEndianUInt32(at: offset))
        try check(size: size)
        guard left - 4 >= size else {
            if buffer.isAtEnd { throw truncated("\(left - 4) of its \(size) bytes") }
            return nil
        }
        return try found(offset + 4..<offset + 4 + size, followedBy: offset + 4 + size)
    }

    private mutating func found(_ record: Range<Int>, followedBy next: Int) throws(CommandFailure) -> Range<Int> {
        try check(size: record.count)
        offset = next
        return record
    }

    private func check(size: Int) throws(CommandFailure) {
        guard size > maximumRecordSize else { return }
        // Of a line that is too large only the beginning has been read.
        let found = format == .lengthPrefixed ? ": its length says \(size) bytes, and" : ":"
        let question = format == .lengthPrefixed ? "; is this input length-prefixed?" : ""
        throw CommandFailure(
            """
            standard input: record \(count + 1) is too large\(found) this log takes up to \(maximumRecordSize) \
            bytes; the \(count) before it are appended\(question)
            """
        )
    }

    private func truncated(_ found: String) -> CommandFailure {
        CommandFailure(
            """
            standard input: record \(count + 1) is cut off: it ends after \(found); the \(count) before it are \
            appended; send the rest again from that record on
            """
        )
    }
}
