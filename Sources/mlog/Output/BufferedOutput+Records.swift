import MappedLog

extension BufferedOutput {
    mutating func write(_ record: borrowing Record, as format: RecordFormat) {
        switch format {
        case .lines:
            write(record.payload)
            write(UInt8(ascii: "\n"))
        case .raw:
            write(record.payload)
        case .lengthPrefixed:
            let count = UInt32(record.payload.byteCount)
            for shift in [0, 8, 16, 24] as [UInt32] { write(UInt8(truncatingIfNeeded: count >> shift)) }
            write(record.payload)
        case .json:
            writeJSON(record)
            write(UInt8(ascii: "\n"))
        case .hex:
            unsafe record.payload.withUnsafeBytes { bytes in
                for index in bytes.indices { unsafe write(hexadecimal: bytes[index]) }
            }
            write(UInt8(ascii: "\n"))
        }
    }

    mutating func write(hexadecimal byte: UInt8) {
        for digit in [byte >> 4, byte & 0xF] {
            write(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}
