import ArgumentParser

/// A number of bytes, read and written as `64MiB` or `1.5GiB`.
struct ByteSize: ExpressibleByArgument, CustomStringConvertible {
    private static let binaryUnits = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    private static let units: [String: UInt64] = [
        "": 1, "B": 1,
        "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
        "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
        "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
    ]

    let bytes: UInt64

    init(bytes: UInt64) {
        self.bytes = bytes
    }

    init?(argument: String) {
        guard let quantity = Quantity(argument[...], units: Self.units), quantity.rest.isEmpty else { return nil }
        bytes = quantity.amount
    }

    /// The size in the largest unit it fills, with two digits after the point at most.
    var description: String {
        guard bytes >= 1 << 10 else { return "\(bytes)B" }
        let scale = (63 - bytes.leadingZeroBitCount) / 10
        let unit = UInt64(1) << (scale * 10)
        // Twenty bits of the remainder are enough for two digits, and can't overflow.
        let surplus = max(0, scale * 10 - 20)
        let hundredths = (((bytes % unit) >> surplus) * 100) >> (scale * 10 - surplus)
        var fraction = hundredths < 10 ? "0\(hundredths)" : "\(hundredths)"
        while fraction.last == "0" { fraction.removeLast() }
        return "\(bytes / unit)\(fraction.isEmpty ? "" : ".\(fraction)")\(Self.binaryUnits[scale - 1])"
    }

    var defaultValueDescription: String { description }

    /// Throws where compacted segments can't have blocks of this size.
    func checkBlockSize() throws {
        guard [64 << 10, 256 << 10, 1 << 20, 4 << 20].contains(bytes) else {
            throw ValidationError("--block-size is 64KiB, 256KiB, 1MiB or 4MiB")
        }
    }
}
