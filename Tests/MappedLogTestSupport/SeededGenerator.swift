import Foundation
import _CTestSupport

/// Random numbers that a seed repeats.
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Begins with a seed.
    public init(seed: UInt64) { state = seed }

    /// Begins with the seed in `MAPPEDLOG_TEST_SEED`, or one of its own.
    ///
    /// - Parameter test: Printed with the seed.
    public init(_ test: String) {
        let chosen = ProcessInfo.processInfo.environment["MAPPEDLOG_TEST_SEED"].flatMap { UInt64($0) }
        let seed = chosen ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("\(test): MAPPEDLOG_TEST_SEED=\(seed)")
        state = seed
    }

    /// The next one.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return test_digest(state, 0)
    }
}

/// A share of the usual number of records or deaths: `MAPPEDLOG_TEST_SCALE`, in percent.
public func scaled(_ count: UInt64) -> UInt64 { max(count * scale / 100, 1) }

/// One of so many is taken, or of as many more as ``scaled(_:)`` takes fewer.
public func scaled(stride: UInt64) -> UInt64 { max(stride * 100 / max(scale, 1), 1) }

private let scale = ProcessInfo.processInfo.environment["MAPPEDLOG_TEST_SCALE"].flatMap { UInt64($0) } ?? 100
