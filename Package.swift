// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
// Records are borrowed from the mapping: the library declares how long such a borrow lives.
let lifetimes: [SwiftSetting] = strict + [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "swift-mapped-log",
    products: [
        .library(name: "MappedLog", targets: ["MappedLog"]),
        .executable(name: "mlog", targets: ["mlog"]),
        .executable(name: "mlog-torture", targets: ["MappedLogTorture"]),
        .executable(name: "mlog-fuzz", targets: ["MappedLogFuzzer"]),
    ],
    dependencies: [
        // FilePath, FilePermissions and Errno: the vocabulary of the public API.
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        // Arguments, help and completion of the command.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.7.0"),
        // Percentiles of latencies that `mlog bench` measures.
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        // Runs the command in its tests, with pipes and signals.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // CRC32C of long payloads: Intel's ISA-L, several times faster than one chain of crc32 instructions.
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        // Compacted segments.
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        // The layouts, and the system calls and instructions that Swift can't reach.
        .target(name: "_CMappedLog", dependencies: ["CISAL"]),
        .target(
            name: "MappedLog",
            dependencies: ["_CMappedLog", "CLZ4", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: lifetimes
        ),
        // What `mlog bench` needs of the system and Swift can't reach.
        .target(name: "_CBench"),
        .executableTarget(
            name: "mlog",
            dependencies: [
                "MappedLog", "_CBench",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MappedLogTests",
            dependencies: [
                "MappedLog", "MappedLogTestSupport", "ReadmeExample", "_CMappedLog",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: lifetimes
        ),
        // The README's example, as a client compiles it.
        .executableTarget(name: "ReadmeExample", dependencies: ["MappedLog"], path: "Tests/ReadmeExample"),
        .testTarget(
            name: "mlogTests",
            dependencies: [
                "mlog", "MappedLog", "MappedLogTestSupport",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        // Counts the worker's allocations.
        .target(name: "_CAllocationCount", path: "Tests/_CAllocationCount"),
        // Right checksums for wrong contents.
        .target(
            name: "MappedLogSigning",
            dependencies: ["_CMappedLog"],
            path: "Tests/MappedLogSigning",
            swiftSettings: strict
        ),
        // Forking, and what tells records apart, for tests with several processes.
        .target(name: "_CTestSupport", path: "Tests/_CTestSupport"),
        .target(
            name: "MappedLogTestSupport",
            dependencies: [
                "MappedLog", "MappedLogSigning", "_CMappedLog", "_CTestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/MappedLogTestSupport",
            swiftSettings: strict
        ),
        // The process at the other end in those tests.
        .executableTarget(
            name: "MappedLogTestWorker",
            dependencies: [
                "MappedLog", "MappedLogTestSupport", "_CMappedLog", "_CTestSupport", "_CAllocationCount",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/MappedLogTestWorker",
            swiftSettings: strict
        ),
        // Crash images: what a power cut could leave, recorded, built, recovered and checked.
        .target(name: "_CDiskCalls", path: "Tests/_CDiskCalls"),
        .target(
            name: "MappedLogCrashImages",
            dependencies: [
                "MappedLog", "_CMappedLog", "_CDiskCalls", .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/MappedLogCrashImages",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MappedLogCrashTests",
            dependencies: [
                "MappedLogCrashImages", "_CMappedLog", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        // Fuzzing: `tools/fuzz`.
        .target(
            name: "MappedLogFuzzing",
            dependencies: [
                "MappedLog", "MappedLogCrashImages", "MappedLogSigning",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/MappedLogFuzzing",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "MappedLogFuzzer",
            dependencies: ["MappedLogFuzzing", .product(name: "SystemPackage", package: "swift-system")],
            path: "Tests/MappedLogFuzzer",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MappedLogFuzzTests",
            dependencies: ["MappedLogFuzzing", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict
        ),
        // The long campaigns: `tools/torture`.
        .executableTarget(
            name: "MappedLogTorture",
            dependencies: [
                "MappedLog", "MappedLogCrashImages", "MappedLogTestSupport", "_CTestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/MappedLogTorture",
            swiftSettings: strict
        ),
        .testTarget(
            name: "MappedLogProcessTests",
            dependencies: [
                "mlog", "MappedLog", "MappedLogTestSupport", "MappedLogTestWorker", "_CTestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)
