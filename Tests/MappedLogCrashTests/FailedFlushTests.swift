import MappedLog
import SystemPackage
import Testing

@testable import MappedLogCrashImages

extension CrashImageTests {
    @Test func `a place whose flush failed isn't taken for durable by the next to commit`() throws {
        try withRoot { root in
            let log = try Log.create(
                at: root.appending("log"),
                options: LogOptions(segmentSize: 64 << 10, durability: .never)
            )
            for number in 0..<UInt8(9) { try log.append([number]) }
            let recorder = try DiskRecorder(root)
            do {
                var tailer = try log.tailer(named: "audit")
                _ = try tailer.next()
                try tailer.commit()
                _ = try tailer.next()
                DiskRecorder.failNextFlush(true)
                #expect(throws: LogError.self) { try tailer.commit() }
                #expect(!DiskRecorder.isFlushToFail)
            }
            var tailer = try log.tailer(named: "audit")
            #expect(tailer.tailer.sequence == 2)
            _ = try tailer.next()
            try tailer.commit(durably: false)
            let history = recorder.end()
            let file = try #require(
                DiskStates(history, at: history.time).files.first { $0.sure.count == 1024 },
                "the named tailer's file"
            )
            // A torn write leaves the other slot, so that must be on the disk for sure, whichever it is.
            #expect(file.sectors.count == 1)
            try log.close()
        }
    }
}
