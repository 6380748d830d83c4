import Foundation
import Glibc
import MappedLogFuzzing
import SystemPackage

// mlog-fuzz DECODER [FILE…]: tries the inputs in the files. Built by tools/fuzz it is driven by libFuzzer, with
// libFuzzer's options behind the decoder's name.

guard CommandLine.arguments.count > 1, let decoder = FuzzedDecoder(rawValue: CommandLine.arguments[1]) else {
    let names = FuzzedDecoder.allCases.map(\.rawValue).joined(separator: "|")
    print("usage: mlog-fuzz \(names) [libFuzzer options] FILE…")
    exit(64)
}

let memory = "/dev/shm"
let parent = unsafe access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
let root = FilePath("\(parent)/mlog-fuzz-\(getpid())")
try FileManager.default.createDirectory(atPath: root.string, withIntermediateDirectories: true)
atexit { try? FileManager.default.removeItem(atPath: root.string) }
let target = try FuzzTarget(decoder, in: root)

#if MAPPED_LOG_FUZZING
    @_silgen_name("LLVMFuzzerRunDriver")
    func runDriver(
        _ count: UnsafeMutablePointer<CInt>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt

    var arguments = unsafe ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)).map { unsafe strdup($0) }
    var count = unsafe CInt(arguments.count)
    unsafe arguments.append(nil)
    var start = unsafe arguments.withUnsafeMutableBufferPointer { $0.baseAddress! }
    let status = unsafe runDriver(&count, &start) { bytes, count in
        unsafe target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
    exit(status)
#else
    for file in CommandLine.arguments.dropFirst(2) {
        guard let input = FileManager.default.contents(atPath: file) else { continue }
        target.run(Array(input))
        print("\(file): nothing wrong")
    }
#endif
