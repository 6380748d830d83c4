public import MappedLog
import _CTestSupport

/// What a record's payload says of it: who appended it, and as which of its records.
public struct RecordName: Hashable, Sendable, CustomStringConvertible {
    /// Who appended it.
    public let writer: UInt32
    /// Its number among the records of that writer.
    public let counter: UInt64

    /// Creates a name.
    public init(writer: UInt32, counter: UInt64) {
        self.writer = writer
        self.counter = counter
    }

    /// Nil: the payload isn't what was appended.
    public init?(_ record: borrowing Record) {
        var writer: UInt32 = 0
        var counter: UInt64 = 0
        let isWhole = unsafe record.payload.withUnsafeBytes { bytes in
            unsafe test_record_check(bytes.baseAddress, bytes.count, &writer, &counter) != 0
        }
        guard isWhole else { return nil }
        self.init(writer: writer, counter: counter)
    }

    /// Writer and counter.
    public var description: String { "\(writer):\(counter)" }
}

extension [UInt8] {
    /// The payload of a record that tailers can check.
    public static func record(writer: UInt32, counter: UInt64, byteCount: Int) -> Self {
        unsafe Self(unsafeUninitializedCapacity: byteCount) { bytes, used in
            unsafe test_record_fill(bytes.baseAddress, byteCount, writer, counter)
            used = byteCount
        }
    }

    /// The same, of a size up to `largest` that follows from the record's name.
    public static func record(writer: UInt32, counter: UInt64, largest: Int) -> Self {
        record(writer: writer, counter: counter, byteCount: test_record_size(writer, counter, largest))
    }
}
