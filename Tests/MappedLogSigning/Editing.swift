/// Changes to a file's bytes.
extension [UInt8] {
    /// Puts bytes over others; what has no room is left out.
    package mutating func overlay(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        for (index, byte) in zip(offset..<count, bytes) { self[index] = byte }
    }

    /// Two bytes of a new size (0: it stays), then edits: two bytes of offset, counted from the end if the highest bit
    /// is set, one of a count, and so many bytes.
    package mutating func edit(_ input: ArraySlice<UInt8>) {
        var left = input
        let size = Int(left.takeInteger(2))
        if size > 0 { self = size < count ? Array(prefix(size)) : self + [UInt8](repeating: 0, count: size - count) }
        while !left.isEmpty {
            let place = Int(left.takeInteger(2))
            let offset = place & 0x8000 == 0 ? place : count - (place & 0x7FFF)
            let bytes = left.prefix(Int(left.takeInteger(1)))
            left = left.dropFirst(bytes.count)
            if offset >= 0 { overlay(bytes, at: Swift.min(offset, count)) }
        }
    }

    /// A little-endian integer; what lies behind the end is 0.
    package func integer(at offset: Int, bytes byteCount: Int) -> UInt64 {
        (0..<byteCount).reduce(0) { value, index in
            let at = offset + index
            return value | (at >= 0 && at < count ? UInt64(self[at]) << (8 * UInt64(index)) : 0)
        }
    }

    package mutating func store(_ value: UInt32, at offset: Int) {
        for index in 0..<4 where (0..<count).contains(offset + index) {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index)))
        }
    }
}

extension ArraySlice<UInt8> {
    /// Takes a little-endian integer off the front.
    package mutating func takeInteger(_ byteCount: Int) -> UInt64 {
        let bytes = prefix(byteCount)
        self = dropFirst(bytes.count)
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
