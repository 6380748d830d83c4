import Foundation
import SystemPackage
import Testing

@testable import MappedLog

/// Disks that are full, read-only, or not there.
@Suite(.timeLimit(.minutes(10))) struct FileSystemTests {
    @Test(.enabled(if: Mount.isAllowed, Comment(rawValue: Mount.reason)))
    func `a log that does not fit is not created, and is once there is room`() throws {
        try withTemporaryDirectory { directory in
            try Mount.withFileSystem(at: directory, byteCount: 128 << 10) {
                let path = directory.appending("log")
                let ballast = directory.appending("ballast")
                try writeFile(ballast, [UInt8](repeating: 1, count: 80 << 10))
                let error = try #require(failure { _ = try Log.create(at: path, options: .small) })
                #expect(error.code == .diskFull && error.errno == .noSpace && error.file != nil)
                #expect(code { _ = try Log.open(at: path) } == .notALog)
                try removeFile(ballast)
                let log = try Log.create(at: path, options: .small)
                try log.append([1])
                #expect(Sight.of(log).records.map(\.payload) == [[1]])
            }
        }
    }

    @Test(.enabled(if: Mount.isAllowed, Comment(rawValue: Mount.reason)))
    func `a full disk stops a roll and nothing else, and appends go on once there is room`() throws {
        try withTemporaryDirectory { directory in
            try Mount.withFileSystem(at: directory, byteCount: 1 << 20) {
                let path = directory.appending("log")
                let ballast = directory.appending("ballast")
                let log = try Log.create(at: path, options: .small)
                let file = try FileDescriptor.open(
                    ballast,
                    .writeOnly,
                    options: [.create],
                    permissions: .ownerReadWrite
                )
                while (try? file.writeAll([UInt8](repeating: 1, count: 4096))) != nil {}
                var count = 0
                var error: LogError?
                while error == nil && count < 20 {
                    error = failure { try log.append(payload(count, 20_000)) }
                    if error == nil { count += 1 }
                }
                #expect(error?.code == .diskFull && error?.errno == .noSpace)
                #expect(count >= 2 && count < 10)
                #expect(code { try log.append(batch: [payload(0, 20_000), [1]]) } == .diskFull)
                #expect(try log.nextSequence == UInt64(count))
                // What fits is still appended, and everything is read and synced.
                try log.append(payload(count, 100))
                try log.sync()
                #expect(Sight.of(log).records.count == count + 1)
                try removeFile(ballast)
                try file.close()
                for number in count + 1..<count + 10 { try log.append(payload(number, 20_000)) }
                let seen = Sight.of(log).records
                #expect(seen.map(\.payload) == (0..<count + 10).map { payload($0, $0 == count ? 100 : 20_000) })
                try log.close()
                #expect(try Log.open(at: path).recovery?.cleanClose == true)
            }
        }
    }

    @Test(.enabled(if: Mount.isAllowed, Comment(rawValue: Mount.reason)))
    func `a log on a read-only mount is read and followed, and not written`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let view = directory.appending("view")
            try FileManager.default.createDirectory(atPath: view.string, withIntermediateDirectories: false)
            let log = try Log.create(at: path, options: .small)
            try log.append([1])
            try Mount.withReadOnly(of: path, at: view) {
                let reader = try Log.openReadOnly(at: view)
                var tailer = try reader.tailer()
                #expect(try tailer.nextSeen()?.payload == [1])
                try log.append([2])
                #expect(try tailer.wait(upTo: .seconds(30)))
                #expect(try tailer.nextSeen()?.payload == [2])
                let error = failure { _ = try Log.open(at: view) }
                #expect(error?.code == .permissionDenied && error?.file != nil)
                #expect(code { _ = try reader.tailer(named: "x") } == .permissionDenied)
                #expect(code { _ = try Log.create(at: view.appending("new")) } == .permissionDenied)
            }
        }
    }

    @Test(
        .enabled(
            if: Mount.isAllowed && Mount.bindfs != nil,
            "needs the right to mount, and bindfs"
        )
    )
    func `a log behind FUSE is refused, as its mappings may not be shared`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let view = directory.appending("view")
            try FileManager.default.createDirectory(atPath: view.string, withIntermediateDirectories: false)
            try Log.create(at: path, options: .small).close()
            try Mount.withFUSE(of: path, at: view) {
                for error in [failure { _ = try Log.open(at: view) }, failure { _ = try Log.openReadOnly(at: view) }] {
                    #expect(error?.code == .networkFileSystem && error?.file == view)
                    #expect(error?.found == "FUSE")
                }
                #expect(code { _ = try Log.create(at: view.appending("new"), options: .small) } == .networkFileSystem)
                #expect(!FileManager.default.fileExists(atPath: path.appending("new/options.json").string))
            }
        }
    }

    @Test func `network file systems are known by the numbers of statfs`() {
        // As in linux/magic.h and statfs(2).
        let numbers: [Int64] = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x00C3_6400, 0x0102_1997, 0x6573_5546]
        for number in numbers { #expect(FileMedium.networkFileSystems[number] != nil) }
        // ext, XFS, Btrfs, tmpfs, overlay.
        for number: Int64 in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            #expect(FileMedium.networkFileSystems[number] == nil)
        }
    }
}
