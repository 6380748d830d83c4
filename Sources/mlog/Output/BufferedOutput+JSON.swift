import FoundationEssentials
import MappedLog

extension BufferedOutput {
    /// Writes a record as an object in one line.
    ///
    /// By hand, since an encoder costs several microseconds for each of maybe millions of records.
    mutating func writeJSON(_ record: borrowing Record) {
        write(#"{"sequence":"#)
        write(decimal: record.sequence)
        write(#","position":"#)
        write(decimal: record.position.rawValue)
        write(#","timestamp":""#)
        write(record.timestamp.rfc3339)
        unsafe record.payload.withUnsafeBytes { unsafe writeJSON(payload: $0) }
        write("}")
    }

    private mutating func writeJSON(payload: UnsafeRawBufferPointer) {
        let bytes = unsafe payload.bindMemory(to: UInt8.self).span
        if (try? UTF8Span(validating: bytes)) != nil {
            write(#"","payload":""#)
            unsafe writeEscaped(payload)
        } else {
            write(#"","payloadBase64":""#)
            write(unsafe Data(payload).base64EncodedString())
        }
        write(UInt8(ascii: "\""))
    }

    /// Writes UTF-8 as it stands in a string of JSON, without the quotation marks around it.
    private mutating func writeEscaped(_ text: UnsafeRawBufferPointer) {
        var plain = 0
        for index in text.indices {
            let byte = unsafe text[index]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
            unsafe write(UnsafeRawBufferPointer(rebasing: text[plain..<index]))
            plain = index + 1
            write(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\n"): write(UInt8(ascii: "n"))
            case UInt8(ascii: "\r"): write(UInt8(ascii: "r"))
            case UInt8(ascii: "\t"): write(UInt8(ascii: "t"))
            case 0..<0x20:
                write("u00")
                write(hexadecimal: byte)
            default: write(byte)
            }
        }
        unsafe write(UnsafeRawBufferPointer(rebasing: text[plain...]))
    }
}
