import MappedLog
import Testing

@testable import mlog

/// Values are read and written as people write them.
struct ArgumentValueTests {
    @Test(
        "A size is read with the units people use",
        arguments: [
            ("0", 0), ("17", 17), ("17B", 17), ("64KiB", 65_536), ("64K", 65_536), ("64MiB", 67_108_864),
            ("1.5GiB", 1_610_612_736), ("10MB", 10_000_000), ("1kB", 1_000), ("4GiB", 4_294_967_296), ("0.5KiB", 512),
        ] as [(String, UInt64)]
    )
    func readsSizes(text: String, bytes: UInt64) {
        #expect(ByteSize(argument: text)?.bytes == bytes)
    }

    @Test(
        "What is no size is refused",
        arguments: [
            "", "-1", "+1", "x", "KiB", "1.KiB", ".5KiB", "0.1KiB", "1 KiB", "1KiBx", "1kiB", "99999999999999TiB",
            "1e3",
            "18446744073709551616", "٣",
        ]
    )
    func refusesSizes(text: String) {
        #expect(ByteSize(argument: text) == nil)
    }

    @Test(
        "A size is written in the largest unit it fills",
        arguments: [
            (0, "0B"), (1_023, "1023B"), (1_024, "1KiB"), (1_536, "1.5KiB"), (67_108_864, "64MiB"),
            (1_075_000, "1.02MiB"),
            (1_610_612_736, "1.5GiB"), (.max, "15.99EiB"),
        ] as [(UInt64, String)]
    )
    func writesSizes(bytes: UInt64, text: String) {
        #expect(ByteSize(bytes: bytes).description == text)
    }

    @Test(
        "A duration is read with the units people use",
        arguments: [
            ("10ms", 10_000_000), ("1.5s", 1_500_000_000), ("5m", 300_000_000_000), ("1h30m", 5_400_000_000_000),
            ("2d", 172_800_000_000_000), ("1w", 604_800_000_000_000), ("100us", 100_000), ("7ns", 7), ("3µs", 3_000),
        ] as [(String, Int64)]
    )
    func readsDurations(text: String, nanoseconds: Int64) {
        #expect(TimeSpan(argument: text)?.nanoseconds == nanoseconds)
    }

    @Test(
        "A duration is written in the units it fills",
        arguments: [
            (0, "0s"), (7, "7ns"), (1_500, "1.5us"), (10_000_000, "10ms"), (1_234_567_890, "1.234s"),
            (60_000_000_000, "1m"), (65_500_000_000, "1m5.5s"), (3_600_000_000_000, "1h"),
            (5_400_000_000_000, "1h30m"), (90_061_000_000_000, "1d1h1m1s"), (864_000_000_000_000, "10d"),
        ] as [(Int64, String)]
    )
    func writesDurations(nanoseconds: Int64, text: String) {
        #expect(TimeSpan(.nanoseconds(nanoseconds)).description == text)
    }

    @Test(
        "What is no duration is refused",
        arguments: ["", "5", "m", "5x", "1.5ns", "-5m", "5m3", "999999999w", "1h 2m"]
    )
    func refusesDurations(text: String) {
        #expect(TimeSpan(argument: text) == nil)
    }

    @Test(
        "Durability is read and written alike",
        arguments: ["never", "always", "10ms", "1.5s", "1MiB", "64KiB", "512B", "5m", "5MiB"]
    )
    func durabilityComesBack(text: String) {
        #expect(DurabilityArgument(argument: text)?.description == text)
    }

    @Test("What is no durability is refused", arguments: ["", "10", "0ms", "0B", "sometimes", "ms"])
    func refusesDurability(text: String) {
        #expect(DurabilityArgument(argument: text) == nil)
    }

    @Test(
        "A time is read to the nanosecond",
        arguments: [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2025-11-23T12:28:00.123456789Z", 1_763_900_880_123_456_789),
            ("2025-11-23T12:28:00.5+01:30", 1_763_895_480_500_000_000),
            ("2025-11-23 12:28Z", 1_763_900_880_000_000_000),
            ("2024-02-29t00:00:00z", 1_709_164_800_000_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
            ("2262-04-11T23:47:16.854775807Z", .max),
            ("1677-09-21T00:12:43.145224192Z", .min),
        ] as [(String, Int64)]
    )
    func readsTimes(text: String, nanoseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.nanosecondsSince1970 == nanoseconds)
    }

    @Test(
        "What is no time is refused",
        arguments: [
            "", "2025-11-23", "2025-11-23T12:28:00", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
            "2025-11-23T24:00:00Z", "2025-11-23T12:60:00Z", "2025-11-23T12:28:00.Z", "2025-11-23T12:28:00.1234567890Z",
            "2025-11-23T12:28:00+24:00", "2025-11-23T12:28:00Zx", "2262-04-11T23:47:16.854775808Z",
            "1677-09-21T00:12:43.145224191Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z",
        ]
    )
    func refusesTimes(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test(
        "A time is written to the nanosecond, and read back as it was",
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_709_208_000_000_000_001, "2024-02-29T12:00:00.000000001Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (.max, "2262-04-11T23:47:16.854775807Z"), (.min, "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String)]
    )
    func writesTimes(nanoseconds: Int64, text: String) {
        let timestamp = Timestamp(nanosecondsSince1970: nanoseconds)
        #expect(timestamp.rfc3339 == text)
        #expect(Timestamp(rfc3339: text) == timestamp)
    }

    @Test("Every day between 1677 and 2262 is written and read back alike")
    func daysComeBack() {
        for day in Int64(-106_751)...106_751 {
            let timestamp = Timestamp(nanosecondsSince1970: day * 86_400_000_000_000)
            #expect(Timestamp(rfc3339: timestamp.rfc3339) == timestamp)
        }
    }

    @Test(
        "A length is one from the end, or from the beginning after a plus",
        arguments: [("5", .last(5)), ("-5", .last(5)), ("+5", .fromRecord(5)), ("0", .last(0))]
            as [(String, TailLength)]
    )
    func readsLengths(text: String, length: TailLength) {
        #expect(TailLength(argument: text) == length)
    }

    @Test("What is no length is refused", arguments: ["", "x", "++5", "+-5", "5x", "+"])
    func refusesLengths(text: String) {
        #expect(TailLength(argument: text) == nil)
    }

    @Test(
        "A place is read by its kind",
        arguments: [
            ("first", .first), ("end", .end), ("sequence:17", .sequence(17)),
            ("position:4096", .position(Position(rawValue: 4_096))),
            ("position:0x4000000", .position(Position(rawValue: 0x4000000))),
            ("time:1970-01-01T00:00:01Z", .time(Timestamp(nanosecondsSince1970: 1_000_000_000))),
        ] as [(String, TailStart)]
    )
    func readsPlaces(text: String, start: TailStart) {
        #expect(StartArgument(argument: text)?.start == start)
    }

    @Test(
        "What is no place is refused",
        arguments: [
            "", "last", "sequence:", "sequence:-1", "sequence:+1", "position:0x", "position:0x-1", "time:now", "5m",
            "-5", "-",
        ]
    )
    func refusesPlaces(text: String) {
        #expect(StartArgument(argument: text) == nil)
    }
}
