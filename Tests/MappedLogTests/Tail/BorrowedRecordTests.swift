import Foundation
import MappedLogTestSupport
import SystemPackage
import Testing

/// A borrowed record can't outlive its tailer's next step: the compiler sees to it in clients, too.
@Suite(.timeLimit(.minutes(10))) struct BorrowedRecordTests {
    /// The first must compile: it shows that the others fail for their own reasons.
    @Test(
        .enabled(if: Compiler.isThere, "needs swiftc, and the modules of this build"),
        .disabled(if: Sanitizer.name != nil, "the compiler says the same without a sanitizer, and finds its modules"),
        arguments: [
            (
                "guard let record = try tailer.next() else { return 0 }; return record.payload.byteCount",
                nil
            ),
            (
                "guard let a = try tailer.next() else { return 0 }; _ = try tailer.next(); return a.payload.byteCount",
                "overlapping accesses"
            ),
            (
                "guard let a = try tailer.next() else { return 0 }; let b = a.payload; _ = try tailer.previous(); "
                    + "return b.byteCount", "overlapping accesses"
            ),
            (
                "var kept: [Record] = []; while let a = try tailer.next() { kept.append(a) }; return kept.count",
                "Escapable"
            ),
            (
                "var kept: RawSpan? = nil; _ = try tailer.read(upTo: 1) { record in kept = record.payload }; "
                    + "return kept?.byteCount ?? 0", "error:"
            ),
        ] as [(String, String?)]
    )
    func `a record or its payload that escapes does not compile`(body: String, error: String?) throws {
        try withTemporaryDirectory { directory in
            let file = directory.appending("client.swift")
            let text = "import MappedLog\nfunc client(_ tailer: inout Tailer) throws -> Int { \(body) }\n"
            try writeFile(file, Array(text.utf8))
            let output = try Compiler.check(file)
            if let error {
                #expect(output.contains("error:") && output.contains(error), "\(output)")
                #expect(!output.contains("missing required module"))
            } else {
                #expect(!output.contains("error:"), "\(output)")
            }
        }
    }
}

/// The compiler that built these tests.
enum Compiler {
    private static let modules = FilePath(CommandLine.arguments[0]).removingLastComponent()
    private static let package = FilePath(#filePath).removingLastComponent().appending("../../..")
    /// Where the build put the modules: beside the bundle of the tests, or under the package.
    private static let products: FilePath? = {
        let places = [FilePath(Bundle.main.bundlePath), modules, package.appending(".build/debug")]
        return places.first {
            FileManager.default.fileExists(atPath: $0.appending("Modules/MappedLog.swiftmodule").string)
        }
    }()
    private static let program: String? = {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { "\($0)/swiftc" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    static var isThere: Bool { products != nil && program != nil }

    /// What the compiler says of a file; diagnostics of lifetimes come behind the type checker's.
    static func check(_ file: FilePath) throws -> String {
        guard let products, let program else { return "" }
        let process = Process()
        process.executableURL = URL(filePath: program)
        let checkouts = products.removingLastComponent().removingLastComponent().appending("checkouts")
        process.arguments = [
            "-emit-sil", "-o", "/dev/null", "-swift-version", "6", "-I", products.appending("Modules").string,
            "-Xcc", "-fmodule-map-file=\(products.appending("_CMappedLog.build/module.modulemap").string)",
            "-I", package.appending("Sources/CISAL").string,
            "-I", package.appending("Sources/CLZ4").string,
            "-I", checkouts.appending("swift-system/Sources/CSystem/include").string,
            "-I", package.appending(".build/checkouts/swift-system/Sources/CSystem/include").string,
            file.string,
        ]
        let pipe = Pipe()
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
