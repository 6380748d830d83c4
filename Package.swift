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
    ],
    dependencies: [
        // FilePath, FilePermissions and Errno: the vocabulary of the public API.
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        // Arguments, help and completion of the command.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    ],
    targets: [
        // CRC32C of long payloads: Intel's ISA-L, several times faster than one chain of crc32 instructions.
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        // The layouts, and the system calls and instructions that Swift can't reach.
        .target(name: "_CMappedLog", dependencies: ["CISAL"]),
        .target(
            name: "MappedLog",
            dependencies: ["_CMappedLog", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: lifetimes
        ),
        .executableTarget(
            name: "mlog",
            dependencies: [
                "MappedLog",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "MappedLogBenchmarks",
            dependencies: ["MappedLog", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MappedLogTests",
            dependencies: [
                "MappedLog", "ReadmeExample", "_CMappedLog",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: lifetimes
        ),
        // The README's example, as a client compiles it.
        .executableTarget(name: "ReadmeExample", dependencies: ["MappedLog"], path: "Tests/ReadmeExample"),
        .testTarget(name: "mlogTests", dependencies: ["mlog"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
