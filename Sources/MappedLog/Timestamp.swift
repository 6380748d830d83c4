internal import Glibc
internal import _CMappedLog

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted; negative before.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970, any `Int64`.
    public var nanosecondsSince1970: Int64

    /// Creates a timestamp.
    ///
    /// - Parameter nanosecondsSince1970: Nanoseconds since 1970.
    public init(nanosecondsSince1970: Int64) {
        self.nanosecondsSince1970 = nanosecondsSince1970
    }

    /// Whether `left` is earlier than `right`.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.nanosecondsSince1970 < right.nanosecondsSince1970
    }

    /// The current time, `clock_gettime(CLOCK_REALTIME)`.
    public static var now: Timestamp { Timestamp(nanosecondsSince1970: LogClock.precise.read()) }
}

/// Where the timestamps of appended records come from.
///
/// Read from the vDSO (vdso(7)) itself where there is one: what stands between a program and its C library, such as
/// faketime(1), is not asked.
public enum LogClock: Sendable, Hashable {
    /// `CLOCK_REALTIME_COARSE`: steps of 1–4 ms, 4–8 ns to read. The default.
    case coarse
    /// `CLOCK_REALTIME`: nanoseconds, about 30 ns to read.
    case precise

    @inline(__always)
    func read() -> Int64 { mlog_clock_read(identifier) }

    /// As clock_gettime(2) knows it.
    var identifier: CInt { self == .coarse ? CLOCK_REALTIME_COARSE : CLOCK_REALTIME }
}
