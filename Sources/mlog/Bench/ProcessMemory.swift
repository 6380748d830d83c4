import FoundationEssentials

/// What memory this process came to hold since a moment, in bytes, as proc(5) tells.
struct ProcessMemory {
    private let anonymousBefore: UInt64
    private let residentBefore: UInt64

    /// From now on.
    init() {
        try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
        (anonymousBefore, residentBefore) = (Self.status("RssAnon:"), Self.status("VmHWM:"))
    }

    /// Memory that belongs to this process alone.
    var anonymous: UInt64 { Self.growth(Self.status("RssAnon:"), since: anonymousBefore) }

    /// The most that was resident, pages of mapped files included.
    var peakResident: UInt64 { Self.growth(Self.status("VmHWM:"), since: residentBefore) }

    private static func growth(_ value: UInt64, since before: UInt64) -> UInt64 {
        value - min(value, before)
    }

    private static func status(_ name: String) -> UInt64 {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
        let fields = line.split { $0 == " " || $0 == "\t" }
        return (fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0) << 10
    }
}
