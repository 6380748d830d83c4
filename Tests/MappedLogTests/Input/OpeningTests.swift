import Foundation
import Glibc
import MappedLog
import SystemPackage
import Testing

/// Creating and opening: what is there, and what is not.
@Suite struct OpeningTests {
    @Test func `a path without a log is not found, and nothing is made there`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("missing")
            for error in [failure { _ = try Log.open(at: path) }, failure { _ = try Log.openReadOnly(at: path) }] {
                #expect(error?.code == .notFound && error?.file == path)
            }
            #expect(!FileManager.default.fileExists(atPath: path.string))
        }
    }

    @Test func `a directory without options is no log, and stays as it is`() throws {
        try withTemporaryDirectory { directory in
            try writeFile(directory.appending("notes.txt"), [1])
            for error in [
                failure { _ = try Log.open(at: directory) }, failure { _ = try Log.openReadOnly(at: directory) },
            ] {
                #expect(error?.code == .notALog && error?.file == directory)
            }
            #expect(code { _ = try Log.create(at: directory) } == .notEmpty)
            #expect(code { _ = try Log.openOrCreate(at: directory) } == .notEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.string) == ["notes.txt"])
        }
    }

    @Test func `a file is no log`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("file")
            try writeFile(path, [1, 2, 3])
            #expect(code { _ = try Log.open(at: path) } == .notALog)
            #expect(code { _ = try Log.openReadOnly(at: path) } == .notALog)
            let error = failure { _ = try Log.create(at: path) }
            #expect(error != nil && error?.file?.starts(with: path) == true)
            #expect(try readFile(path) == [1, 2, 3])
        }
    }

    @Test func `create makes what the options say, once`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let options = LogOptions(
                segmentSize: 128 << 10,
                permissions: [.ownerReadWrite, .groupRead],
                durability: .bytes(4096)
            )
            let log = try Log.create(at: path, options: options)
            #expect(log.segmentSize == 131_072 && !log.isReadOnly && log.path == path)
            #expect(try log.endPosition.rawValue == 4096)
            let again = failure { _ = try Log.create(at: path) }
            #expect(again?.code == .alreadyExists && again?.file == path)
            let other = try Log.openOrCreate(at: path, options: .small)
            #expect(other.segmentSize == 131_072 && other.id == log.id)
            let attributes = try FileManager.default.attributesOfItem(
                atPath: path.appending("0000000000000000.mlog").string
            )
            #expect(attributes[.posixPermissions] as? Int == 0o640)
            #expect(attributes[.size] as? Int == 131_072)
            let json =
                try JSONSerialization.jsonObject(
                    with: Data(readFile(path.appending("options.json")))
                ) as? [String: Any]
            #expect(json?["segmentSize"] as? Int == 131_072)
            #expect(json?["durability"] as? String == "4KiB")
            #expect(json?["permissions"] as? String == "0640")
            #expect(json?["id"] as? String == log.id.description)
        }
    }

    @Test(arguments: [UInt64(0), 1, 65_535, 65_537, 98_304, (4 << 30) + 65_536, .max])
    func `a segment size that is none is refused`(size: UInt64) throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let error = failure { _ = try Log.create(at: path, options: LogOptions(segmentSize: size)) }
            #expect(error?.code == .invalidOptions && error?.found?.contains("\(size)") == true)
            #expect(!FileManager.default.fileExists(atPath: path.string))
        }
    }

    @Test func `options out of their ranges are refused`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let creations: [LogOptions] = [
                LogOptions(permissions: .ownerRead), LogOptions(permissions: [.ownerReadWrite, .ownerExecute]),
                LogOptions(durability: .interval(.zero)), LogOptions(durability: .interval(.seconds(-1))),
                LogOptions(durability: .bytes(0)),
            ]
            for options in creations {
                #expect(code { _ = try Log.create(at: path, options: options) } == .invalidOptions)
            }
            _ = try Log.create(at: path, options: .small)
            let openings = [
                OpenOptions(durability: .bytes(0)), OpenOptions(stallTimeout: .zero),
                OpenOptions(recoveryTimeout: .seconds(-1)),
            ]
            for opening in openings {
                #expect(code { _ = try Log.open(at: path, opening: opening) } == .invalidOptions)
            }
        }
    }

    @Test func `threads that open or create at once get one log`() throws {
        for _ in 0..<10 {
            try withTemporaryDirectory { directory in
                let path = directory.appending("log")
                let threads = (0..<6).map { number in
                    Thread.run {
                        guard let log = try? Log.openOrCreate(at: path, options: .small) else { return }
                        for _ in 0..<20 { _ = try? log.append([UInt8(number)]) }
                    }
                }
                for thread in threads { thread.join() }
                let seen = Sight.of(path).records
                #expect(seen.count == 120)
                for number in 0..<6 { #expect(seen.filter { $0.payload == [UInt8(number)] }.count == 20) }
            }
        }
    }

    @Test func `an interrupted creation is taken over`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            try Log.create(at: path, options: .small).close()
            try removeFile(path.appending("options.json"))
            // A creation ends before anybody prepares the second segment.
            try? removeFile(path.appending("0000000000010000.mlog"))
            try writeFile(path.appending(".tmp-0000000000000001"), [1])
            #expect(code { _ = try Log.open(at: path) } == .notALog)
            let log = try Log.create(at: path, options: .small)
            try log.append([5])
            #expect(Sight.of(log).records.map(\.payload) == [[5]])
            #expect(try LogImage(of: path).files.keys.allSatisfy { !$0.contains(".tmp-") })
        }
    }

    @Test func `a log that lost its options is not taken for an interrupted creation`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            try log.append([5])
            try log.close()
            let options = try #require(try LogImage(of: path).files["options.json"])
            try removeFile(path.appending("options.json"))
            try? removeFile(path.appending("0000000000010000.mlog"))
            #expect(code { _ = try Log.create(at: path, options: .small) } == .notEmpty)
            #expect(code { _ = try Log.openOrCreate(at: path, options: .small) } == .notEmpty)
            try writeFile(path.appending("options.json"), options)
            #expect(Sight.of(path).records.map(\.payload) == [[5]])
        }
    }

    @Test func `a read-only open makes and changes nothing`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            _ = try DamagedLog(at: path)
            let before = try listing(path)
            let log = try Log.openReadOnly(at: path)
            #expect(log.isReadOnly && log.recovery == nil)
            #expect(Sight.of(log).error == nil)
            _ = Sight.of(log, from: .time(.now))
            _ = try log.namedTailers()
            _ = try (log.endPosition, log.nextSequence, log.durablePosition)
            var tailer = try log.tailer(from: .end)
            #expect(try tailer.previousSeen() != nil)
            for error in [
                code { try log.append([1]) }, code { try log.append(batch: [[1]]) },
                code { try log.append(reserving: 1) { _ in } }, code { try log.sync() },
            ] { #expect(error == .readOnly) }
            try log.close()
            #expect(try listing(path) == before)
        }
    }

    /// Names, sizes and times of all that is there.
    private func listing(_ path: FilePath) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path.string).sorted().map { name in
            let attributes = try FileManager.default.attributesOfItem(atPath: path.appending(name).string)
            return "\(name) \(attributes[.size]!) \((attributes[.modificationDate] as! Date).timeIntervalSince1970)"
        }
    }

    @Test func `close may come twice, and what follows it is told so`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            try log.append([1])
            var tailer = try log.tailer()
            try log.close()
            try log.close()
            #expect(code { try log.append([2]) } == .closed)
            #expect(code { try log.append(batch: [[2]]) } == .closed)
            #expect(code { try log.append(reserving: 1) { _ in } } == .closed)
            #expect(code { try log.sync() } == .closed)
            // Tailers go on reading.
            #expect(try tailer.nextSeen()?.payload == [1])
            let other = try Log.open(at: path)
            try other.append([3])
            #expect(try tailer.wait(upTo: .seconds(20)))
            #expect(try tailer.nextSeen()?.payload == [3])
        }
    }

    @Test func `two logs of one path in one process append to the same records`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let logs = [try Log.create(at: path, options: .small), try Log.open(at: path), try Log.open(at: path)]
            let threads = logs.enumerated().map { number, log in
                Thread.run { for round in 0..<200 { _ = try? log.append(payload(number, 300 + round)) } }
            }
            for thread in threads { thread.join() }
            for log in logs { #expect(try log.nextSequence == 600) }
            let seen = Sight.of(logs[1]).records
            for number in 0..<3 {
                let own = seen.filter { $0.payload.starts(with: Array("record \(number)".utf8)) }
                #expect(own.map(\.payload) == (0..<200).map { payload(number, 300 + $0) })
            }
            try logs[0].close()
            try logs[1].append([1])
            try logs[1].close()
            try logs[2].close()
            #expect(try Log.open(at: path).recovery?.cleanClose == true)
        }
    }
}
