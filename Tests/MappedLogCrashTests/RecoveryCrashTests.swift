import MappedLog
import SystemPackage
import Testing

@testable import MappedLogCrashImages

extension CrashImageTests {
    /// A record of zeros, of which the disk has the header, and bytes that had been taken back where the zeros belong:
    /// what recovery zeroes would make it whole.
    @Test func `a crash inside of a recovery brings nothing back that it cuts off`() throws {
        try withRoot { root in
            let (image, promise) = try recordOfZeros(in: root)
            let check = ImageCheck(root: root)
            let recovered = try #require(try check.recover(image, promise, again: false))
            #expect(recovered.records.count == 1)
            var next = Promise()
            next.records = recovered.records
            next.acknowledged = 1

            try image.write(to: root)
            let recorder = try DiskRecorder(root)
            let log = try Log.open(at: root.appending("log"), opening: .quiet)
            let history = recorder.end()
            try log.close()
            var images = 0
            for moment in 1...history.time {
                let states = DiskStates(history, at: moment)
                guard let number = Self.segment(of: states) else { continue }
                for subset in 0..<1 << min(states.files[number].sectors.count, 6) {
                    var choice = states.nothing
                    choice.names = Set(states.unsure)
                    for (sector, state) in states.files[number].sectors.enumerated() where subset >> sector & 1 != 0 {
                        choice.versions[number][sector] = state.versions.count
                    }
                    _ = try check.recover(choice.image(of: states), next, again: false)
                    images += 1
                }
            }
            #expect(images > 32)
        }
    }

    /// Of the first segment's file, where something isn't sure.
    private static func segment(of states: DiskStates) -> Int? {
        states.files.firstIndex { file in
            file.sure.count == 64 << 10 && file.sectors.contains { (8..<64).contains($0.number) }
        }
    }

    private func recordOfZeros(in root: FilePath) throws -> (DiskImage, Promise) {
        struct Refusal: Error {}
        let path = root.appending("log")
        let made = try Log.create(at: path, options: .forCrashes)
        try made.append([1])
        try made.close()
        let recorder = try DiskRecorder(root)
        let log = try Log.open(at: path, opening: .quiet)
        let fill: (inout OutputRawSpan) throws -> Void = { output in
            for _ in 0..<2000 { output.append(0xEE) }
            recorder.look()
            throw Refusal()
        }
        #expect(throws: LogError.self) { try log.append(reserving: 2000, fill) }
        recorder.look()
        try log.append([UInt8](repeating: 0, count: 2000))
        let records = try ImageCheck.records(of: log)
        let history = recorder.end()
        try log.close()
        let states = DiskStates(history, at: history.time)
        let number = try #require(Self.segment(of: states))
        var choice = states.nothing
        choice.names = Set(states.unsure)
        for (file, state) in states.files.enumerated() {
            choice.sizes[file] = state.sizes.count - 1
            for (sector, versions) in state.sectors.enumerated() {
                let isStale = file == number && sector > 0
                choice.versions[file][sector] = isStale ? 1 : versions.versions.count
            }
        }
        var promise = Promise()
        promise.records = records.map { record in
            var record = record
            record.group = record.sequence
            return record
        }
        promise.acknowledged = 1
        return (choice.image(of: states), promise)
    }
}
