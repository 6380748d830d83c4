import MappedLog
import SystemPackage
import Testing

@testable import MappedLogCrashImages

extension CrashImageTests {
    @Test func `a clean close leaves nothing of a segment to chance, what was taken back neither`() throws {
        struct Refusal: Error {}
        try withRoot { root in
            let log = root.appending("log")
            let writer = try Log.create(at: log, options: LogOptions(segmentSize: 64 << 10, durability: .never))
            try writer.append([1])
            try writer.close()
            let recorder = try DiskRecorder(root)
            let again = try Log.open(at: log)
            let fill: (inout OutputRawSpan) throws -> Void = { output in
                for _ in 0..<400 { output.append(0xEE) }
                recorder.look()
                throw Refusal()
            }
            #expect(throws: LogError.self) { try again.append(reserving: 500, fill) }
            try again.close()
            let history = recorder.end()
            let states = DiskStates(history, at: history.time)
            let segments = states.files.filter { $0.sure.count == 64 << 10 }
            // The next one may be prepared by now.
            #expect((1...2).contains(segments.count))
            #expect(segments.allSatisfy { $0.sectors.isEmpty && $0.sizes.count == 1 })
        }
    }
}
