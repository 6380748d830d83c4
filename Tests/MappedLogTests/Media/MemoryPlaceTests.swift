import Foundation
import Glibc
import MappedLogTestSupport
import SystemPackage
import Testing
import _CMappedLog

@testable import MappedLog

/// Names and keys of logs in memory, what may be in their place, and how they go.
@Suite(.timeLimit(.minutes(10))) struct MemoryPlaceTests {
    private static let isRoot = geteuid() == 0

    @Test(arguments: [
        ("shm:a", "shm:a"), ("shm:Quotes_1.x-y", "shm:Quotes_1.x-y"), ("shm:1000/a", "shm:1000/a"),
        ("sysv:17", "sysv:0x00000011"), ("sysv:0x4D4c", "sysv:0x00004d4c"), ("sysv:-1", "sysv:0xffffffff"),
        ("sysv:0xFFFFFFFF", "sysv:0xffffffff"), ("sysv:/etc/hosts#7", "sysv:/etc/hosts#7"), ("./shm:a", "./shm:a"),
        ("a/sysv:1", "a/sysv:1"), ("/tmp/a#b", "/tmp/a#b"),
    ])
    func `a place reads back from its text`(text: String, normal: String) throws {
        let location = try LogLocation(text)
        #expect(location.description == normal)
        #expect(try LogLocation(location.path) == location)
        #expect(location.isInMemory == (text.hasPrefix("shm:") || text.hasPrefix("sysv:")))
    }

    @Test(arguments: [
        "", "shm:", "shm:.a", "shm:a/b", "shm:../a", "shm:a b", "shm:-1/a", "shm:1/", "sysv:", "sysv:0", "sysv:0x0",
        "sysv:0x", "sysv:4294967296", "sysv:x", "sysv:#1", "sysv:/etc/hosts#0", "sysv:/etc/hosts#256",
        "sysv:/etc/hosts",
    ])
    func `a text that names no place is refused`(text: String) {
        #expect(code { _ = try LogLocation(text) } == .invalidName)
        // A path has no empty text, and no slash at its end.
        if text.isEmpty || text.hasSuffix("/") { return }
        #expect(code { _ = try Log.openOrCreate(at: FilePath(text)) } == .invalidName)
    }

    @Test(arguments: LogMedium.inMemory)
    func `what is not there is not found, and nothing is made`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            #expect(code { _ = try Log.open(at: path) } == .notFound)
            #expect(code { _ = try Log.openReadOnly(at: path) } == .notFound)
            #expect(code { _ = try Maintenance.verify(at: path) } == .notFound)
            #expect(code { try Maintenance.destroy(at: LogLocation(path)) } == .notFound)
            let listed = try listed(path)
            #expect(listed == nil)
        }
        #expect(code { _ = try Log.open(at: "sysv:/no/such/file#1") } == .notFound)
    }

    @Test(arguments: LogMedium.inMemory)
    func `a log is listed, destroyed once its writers are gone, and leaves nothing`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let location = try LogLocation(path)
            let before = try traces()
            let log = try Log.create(at: path, options: medium.small)
            #expect(code { _ = try Log.create(at: path) } == .alreadyExists)
            for number in 0..<100 { try log.append(payload(number, 4000)) }
            _ = try log.tailer(named: "audit")
            let open = try #require(try listed(path))
            #expect(open.writers == 1 && open.isAttached && open.state == .complete && open.id == log.id.description)
            #expect(open.bytes >= 8 * 65_536)
            #expect(code { try Maintenance.destroy(at: location) } == .writersAlive)
            try log.close()
            #expect(try listed(path)?.writers == 0)
            try Maintenance.destroy(at: location)
            #expect(try listed(path) == nil)
            #expect(code { _ = try Log.open(at: path) } == .notFound)
            // What the log object still maps goes with it.
            withExtendedLifetime(log) {}
            #expect(try traces().isSubset(of: before))
        }
    }

    /// The log as a list shows it.
    private func listed(_ path: FilePath) throws -> ListedLog? {
        let name = try LogLocation(path).description
        return try Maintenance.list().first { $0.location == name }
    }

    /// What of this test's process is in memory: of other processes' logs the names would come and go.
    private func traces() throws -> Set<String> {
        let own = "test-\(getpid())-"
        let names = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm").filter { $0.contains(own) }
        let table = try String(contentsOfFile: "/proc/sysvipc/shm", encoding: .utf8).split(separator: "\n").dropFirst()
        let segments = table.map { $0.split(separator: " ") }.filter { $0[4] == "\(getpid())" && $0[0] != "0" }
        return Set(names + segments.map { String($0[1]) })
    }

    @Test(arguments: LogMedium.inMemory)
    func `a writer finds a log gone that was destroyed by force, and can make another`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            try log.append([1])
            var tailer = try log.tailer()
            try Maintenance.destroy(at: LogLocation(path), isForced: true)
            let deadline = ContinuousClock.now + .seconds(30)
            var found: LogError.Code?
            while found == nil, ContinuousClock.now < deadline {
                found = code { try log.append([2]) }
                usleep(10_000)
            }
            #expect(found == .moved)
            #expect(try tailer.nextSeen()?.payload == [1])
            let other = try Log.create(at: path, options: medium.small)
            try other.append([3])
            #expect(Sight.of(path).records.map(\.payload) == [[3]])
            #expect(code { try log.append([2]) } == .moved)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a log that is destroyed by force under a writer that makes segments leaves nothing`(
        on medium: LogMedium
    ) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let before = try traces()
            let options = LogOptions(segmentSize: 64 << 10, retention: Retention(segments: 3))
            for round in 0..<100 {
                let log = try Log.create(at: path, options: options)
                let writer = Thread.run {
                    // As long as it takes until it finds out.
                    for number in 0..<100_000 where (try? log.append(payload(number, 30_000))) == nil { return }
                }
                usleep(UInt32(round * 100))
                try Maintenance.destroy(at: LogLocation(path), isForced: true)
                writer.join()
                try? log.close()
            }
            let left = try traces().subtracting(before)
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a snapshot makes a durable log of it, while appends drop segments`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            try withTemporaryDirectory { directory in
                let options = LogOptions(segmentSize: 64 << 10, retention: Retention(segments: 3))
                let log = try Log.create(at: logs.appending("log"), options: options)
                for number in 0..<100 { try log.append(payload(number, 4000)) }
                let writer = Thread.run { for number in 100..<2000 { _ = try? log.append(payload(number, 4000)) } }
                for round in 0..<5 {
                    let copy = directory.appending("copy\(round)")
                    let report = try Maintenance.snapshot(at: log.location, to: copy)
                    #expect(try Maintenance.verify(at: copy).isWhole)
                    let sight = Sight.of(copy)
                    #expect(sight.error == nil && sight.gone.isEmpty)
                    #expect(sight.records.first?.sequence == report.firstSequence)
                    #expect(sight.records.map(\.payload) == sight.records.map { payload(Int($0.sequence), 4000) })
                }
                writer.join()
                let copy = try Log.open(at: directory.appending("copy4"))
                #expect(try LogOptions(ofLogAt: copy.location).retention == nil)
                #expect(copy.id == log.id && copy.location.medium == .file)
                try copy.append([1])
            }
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `a log of an earlier boot is refused, listed, and destroyed`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            try Log.create(at: path, options: medium.small).close()
            let control = try #require(try LogPlace(at: LogLocation(path)).medium.openControl(writable: true))
            let bootID = UInt64(MemoryLayout<mlog_control>.offset(of: \.boot_id)!)
            try control.write([UInt8](repeating: 7, count: 16), at: bootID)
            for error in [failure { _ = try Log.open(at: path) }, failure { _ = try Log.openReadOnly(at: path) }] {
                #expect(error?.code == .earlierBoot && error?.advice.contains("destroy") == true)
            }
            #expect(code { _ = try Log.openOrCreate(at: path) } == .earlierBoot)
            if medium == .sharedMemory {
                #expect(try listed(path)?.state == .earlierBoot)
            }
            try Maintenance.destroy(at: LogLocation(path))
            try Log.create(at: path, options: medium.small).close()
        }
    }

    // MARK: /dev/shm

    @Test(arguments: ["a symbolic link", "a file", "another user's directory"])
    func `what is in the way of a name in /dev/shm is refused and left alone`(what: String) throws {
        guard what != "another user's directory" || Self.isRoot else { return }
        try withTemporaryDirectory { directory in
            let path = LogMedium.sharedMemory.newPath(in: directory)
            let place = FilePath("/dev/shm/mlog-\(geteuid())-\(path.string.dropFirst(4))")
            defer { try? FileManager.default.removeItem(atPath: place.string) }
            let manager = FileManager.default
            switch what {
            case "a file": try writeFile(place, [1])
            case "a symbolic link":
                try manager.createSymbolicLink(atPath: place.string, withDestinationPath: directory.string)
            default:
                try manager.createDirectory(atPath: place.string, withIntermediateDirectories: false)
                #expect(unsafe chown(place.string, 65534, 65534) == 0)
            }
            for error in [
                failure { _ = try Log.create(at: path) }, failure { _ = try Log.openOrCreate(at: path) },
                failure { _ = try Log.openReadOnly(at: path) },
                failure { try Maintenance.destroy(at: LogLocation(path)) },
                failure { _ = try Maintenance.verify(at: path) },
            ] { #expect(error?.code == .occupied && error?.file == place, "\(error?.description ?? "none")") }
            #expect(try manager.contentsOfDirectory(atPath: directory.string).isEmpty)
            #expect(try listed(path) == nil)
            #expect(unsafe access(place.string, F_OK) == 0)
        }
    }

    @Test func `an interrupted creation in /dev/shm is taken over, or destroyed`() throws {
        try withTemporaryLogs(on: .sharedMemory) { logs in
            let path = logs.appending("log")
            for isTakenOver in [true, false] {
                let log = try Log.create(at: path, options: .small)
                try log.close()
                try removeFile(log.path.appending("options.json"))
                for name in try LogImage(of: log.path).files.keys where name.hasSuffix("10000.mlog") {
                    try removeFile(log.path.appending(name))
                }
                #expect(code { _ = try Log.open(at: path) } == .notALog)
                #expect(try listed(path)?.state == .unfinished)
                if isTakenOver { try Log.create(at: path, options: .small).close() }
                try Maintenance.destroy(at: LogLocation(path))
                #expect(code { _ = try Log.open(at: path) } == .notFound)
            }
        }
    }

    @Test func `permissions in /dev/shm are 0600 unless asked otherwise`() throws {
        try withTemporaryLogs(on: .sharedMemory) { logs in
            func mode(_ path: FilePath) throws -> Int? {
                try FileManager.default.attributesOfItem(atPath: path.string)[.posixPermissions] as? Int
            }
            let closed = try Log.create(at: logs.appending("closed"), options: .small)
            #expect(try mode(closed.path) == 0o700)
            #expect(try mode(closed.path.appending("0000000000000000.mlog")) == 0o600)
            var options = LogOptions.small
            options.permissions = [.ownerReadWrite, .groupRead]
            let open = try Log.create(at: logs.appending("open"), options: options)
            // Those of segments that are used again, too.
            for number in 0..<100 { try open.append(payload(number, 4000)) }
            try open.close()
            #expect(try mode(open.path) == 0o750)
            for name in try LogImage(of: open.path).files.keys where name.hasSuffix(".mlog") {
                #expect(try mode(open.path.appending(name)) == 0o640)
            }
        }
    }

    // MARK: System V

    @Test(arguments: [4096, Int(MLOG_TABLE_BYTES)])
    func `a segment of something else at the key is refused and left alone`(byteCount: Int) throws {
        try withTemporaryDirectory { directory in
            let path = LogMedium.systemV.newPath(in: directory)
            guard case .systemV(let key) = try LogLocation(path) else { return }
            let id = try SystemV.check(mlog_shm_make(key.number(), UInt64(byteCount), 0o600))
            defer { _ = mlog_shm_remove(id) }
            let segment = try AttachedSegment(id, isWritable: true)
            unsafe segment.start.initializeMemory(as: UInt8.self, repeating: 0x5A, count: byteCount)
            for error in [
                failure { _ = try Log.create(at: path) }, failure { _ = try Log.openOrCreate(at: path) },
                failure { _ = try Log.openReadOnly(at: path) },
                failure { try Maintenance.destroy(at: LogLocation(path)) },
                failure { try Maintenance.destroy(at: LogLocation(path), isForced: true) },
            ] { #expect(error?.code == .occupied, "\(error?.description ?? "none")") }
            let bytes = unsafe UnsafeRawBufferPointer(start: segment.start, count: byteCount)
            #expect(unsafe bytes.allSatisfy { $0 == 0x5A })
            #expect(try SystemV.status(id).is_removed == 0)
            #expect(try listed(path) == nil)
        }
    }

    /// How far a creation came before its process died.
    @Test(arguments: ["nothing", "the claim", "all but the magic"])
    func `an interrupted creation at a key is taken over, or destroyed, with all it made`(made: String) throws {
        try withTemporaryLogs(on: .systemV) { logs in
            let path = logs.appending("log")
            guard case .systemV(let key) = try LogLocation(path) else { return }
            for isTakenOver in [true, false] {
                let before = try traces()
                if made == "all but the magic" {
                    try Log.create(at: path, options: .small).close()
                    guard case .table(let table, _) = try SystemVFinding(key.number(), path: path) else { return }
                    try table.storeMagic(0)
                } else {
                    let id = try SystemV.check(mlog_shm_make(key.number(), UInt64(MLOG_TABLE_BYTES), 0o600))
                    let segment = try AttachedSegment(id, isWritable: true)
                    if made == "the claim" { unsafe segment.start.storeBytes(of: MLOG_TABLE_CLAIM, as: UInt64.self) }
                }
                #expect(code { _ = try Log.open(at: path) } == .notALog)
                if isTakenOver {
                    let log = try Log.create(at: path, options: .small)
                    try log.append([1])
                    try log.close()
                    #expect(Sight.of(path).records.map(\.payload) == [[1]])
                }
                try Maintenance.destroy(at: LogLocation(path))
                #expect(try traces().isSubset(of: before))
            }
        }
    }

    @Test func `a segment that a dead process was making is removed with the next change`() throws {
        try withTemporaryLogs(on: .systemV) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: LogMedium.systemV.small)
            let medium = try #require(try LogPlace(at: LogLocation(path)).medium as? SystemVMedium)
            let left = try medium.table.change { list throws(LogError) in try list.make(byteCount: 65_536).0.id }
            #expect(try SystemV.status(left).is_removed == 0)
            for number in 0..<40 { try log.append(payload(number, 4000)) }
            #expect(throws: Errno.self) { try SystemV.status(left) }
            #expect(Sight.of(log).records.count == 40)
        }
    }

    @Test func `what ipcrm takes away is noticed`() throws {
        try withTemporaryLogs(on: .systemV) { logs in
            let path = logs.appending("log")
            let log = try Log.create(at: path, options: LogMedium.systemV.small)
            try log.append([1])
            let medium = try #require(try LogPlace(at: LogLocation(path)).medium as? SystemVMedium)
            #expect(mlog_sem_remove(try medium.table.semaphores()) == 0)
            var found: LogError.Code?
            let deadline = ContinuousClock.now + .seconds(30)
            while found == nil, ContinuousClock.now < deadline {
                found = code { try log.append([2]) }
                usleep(10_000)
            }
            #expect(found == .moved)
            #expect(code { _ = try Log.open(at: path) } == .moved)
            // What is there can still be read, saved and destroyed.
            #expect(Sight.of(path).records.first?.payload == [1])
            try? log.close()
            try Maintenance.destroy(at: LogLocation(path))
            #expect(code { _ = try Log.open(at: path) } == .notFound)
        }
    }

    @Test func `a key may be made of a file`() throws {
        try withTemporaryDirectory { directory in
            let file = directory.appending("key")
            let location = LogLocation.systemV(.file(file, id: 9))
            #expect(try LogLocation("sysv:\(file)#9") == location)
            #expect(code { _ = try Log.create(at: location) } == .notFound)
            try writeFile(file, [])
            defer { try? Maintenance.destroy(at: location, isForced: true) }
            let log = try Log.create(at: location, options: LogMedium.systemV.small)
            try log.append([1])
            #expect(log.location == location)
            #expect(Sight.of(location.path).records.map(\.payload) == [[1]])
            let other = LogLocation.systemV(.file(file, id: 10))
            #expect(code { _ = try Log.open(at: other) } == .notFound)
            try log.close()
            try Maintenance.destroy(at: location)
            #expect(code { _ = try Log.open(at: location) } == .notFound)
        }
    }

    @Test(arguments: LogMedium.inMemory)
    func `what is told of a log beside a writer that drops segments is whole`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { logs in
            let path = logs.appending("log")
            let options = LogOptions(segmentSize: 64 << 10, retention: Retention(segments: 8))
            let log = try Log.create(at: path, options: options)
            let writer = Thread.run { for number in 0..<3000 { _ = try? log.append(payload(number, 4000)) } }
            for _ in 0..<50 {
                let reader = try Log.openReadOnly(at: path)
                let info = try reader.info()
                #expect(!info.segments.contains { $0.state == "damaged" })
                #expect(info.firstSequence <= info.nextSequence)
                // Who begins at the first record finds one, whichever is the first by then.
                var tailer = try reader.tailer()
                do throws(LogError) { _ = try tailer.nextSeen() } catch { #expect(error.code == .recordsGone) }
            }
            writer.join()
            #expect(try Maintenance.verify(at: path).isWhole)
        }
    }

    @Test func `named tailers of System V are as many as there are places`() throws {
        try withTemporaryLogs(on: .systemV) { logs in
            let log = try Log.create(at: logs.appending("log"), options: .small)
            try log.append([1])
            for number in 0..<64 { try log.resetNamedTailer("t\(number)", to: .first) }
            #expect(code { try log.resetNamedTailer("more", to: .first) } == .diskFull)
            try log.removeNamedTailer("t7")
            try log.resetNamedTailer("more", to: .end)
            #expect(try log.namedTailers().count == 64)
            #expect(try log.namedTailers().first { $0.name == "more" }?.sequence == 1)
        }
    }

    @Test func `a System V log is its user's alone`() throws {
        try withTemporaryLogs(on: .systemV) { logs in
            let options = LogOptions(permissions: [.ownerReadWrite, .groupRead])
            #expect(code { _ = try Log.create(at: logs.appending("log"), options: options) } == .invalidOptions)
            let large = LogOptions(retention: Retention(segments: 1021))
            #expect(code { _ = try Log.create(at: logs.appending("log"), options: large) } == .invalidOptions)
        }
    }
}
