import Glibc
import MappedLog
import MappedLogTestSupport
import SystemPackage
import Testing

/// Tailers whose place is kept in the log.
@Suite struct NamedTailerTests {
    private func makeLog(on medium: LogMedium = .file, at path: FilePath) throws -> Log {
        let log = try Log.create(at: path, options: medium.small)
        for number in 0..<40 { try log.append(payload(number, 4000)) }
        return log
    }

    @Test(arguments: LogMedium.allCases)
    func `a named tailer goes on where it last committed`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try makeLog(on: medium, at: path)
            do {
                var tailer = try log.tailer(named: "audit")
                #expect(tailer.name == "audit")
                #expect(try tailer.tailer.read(upTo: 17) { _ in } == 17)
                try tailer.commit()
                // Not committed: read again.
                #expect(try tailer.tailer.read(upTo: 5) { _ in } == 5)
            }
            try log.close()
            let again = try Log.open(at: path)
            var tailer = try again.tailer(named: "audit", startingAt: .end)
            #expect(try tailer.tailer.nextSeen()?.sequence == 17)
            try tailer.commit(durably: false)
            #expect(try again.namedTailers().map(\.sequence) == [18])
            #expect(try again.namedTailers().map(\.lag) == [22])
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a named tailer that never committed starts where it is told, and is kept from then on`(on medium: LogMedium)
        throws
    {
        try withTemporaryLogs(on: medium) { directory in
            let log = try makeLog(on: medium, at: directory.appending("log"))
            _ = try log.tailer(named: "late", startingAt: .sequence(30))
            #expect(try log.tailer(named: "late", startingAt: .first).tailer.sequence == 30)
            #expect(try log.namedTailers().map(\.name) == ["late"])
        }
    }

    @Test(arguments: [0, 60, 4096, 100_000], [true, false])
    func `a named tailer whose file was cut or grown is set anew, and forgotten`(byteCount: Int, isReset: Bool) throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try makeLog(at: path)
            do { _ = try log.tailer(named: "cut") }
            let file = path.appending("tailers").appending("cut")
            #expect(unsafe truncate(file.string, byteCount) == 0)
            if byteCount > 0 {
                #expect(failure { _ = try log.tailer(named: "cut") }?.code == .damaged)
                #expect(try Maintenance.verify(at: path).findings.map(\.kind) == [.namedTailer])
            }
            if isReset {
                try log.resetNamedTailer("cut", to: .sequence(30))
                #expect(try log.namedTailers().map(\.sequence) == [30])
                #expect(try log.tailer(named: "cut").tailer.sequence == 30)
            } else {
                try log.removeNamedTailer("cut")
                #expect(try log.namedTailers() == [])
            }
            #expect(try Maintenance.verify(at: path).isWhole)
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `a name is open once only`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try makeLog(on: medium, at: path)
            do {
                let tailer = try log.tailer(named: "one")
                #expect(try log.namedTailers().map(\.isOpen) == [true])
                for other in [log, try Log.openReadOnly(at: path)] {
                    let error = failure { _ = try other.tailer(named: "one") }
                    #expect(error?.code == .tailerInUse)
                    #expect(error?.file?.lastComponent?.string == "one")
                    #expect(code { try other.removeNamedTailer("one") } == .tailerInUse)
                    #expect(code { try other.resetNamedTailer("one", to: .end) } == .tailerInUse)
                }
                #expect(tailer.tailer.sequence == 0)
            }
            #expect(try log.namedTailers().map(\.isOpen) == [false])
            #expect(try log.tailer(named: "one").tailer.sequence == 0)
        }
    }

    @Test(arguments: LogMedium.allCases)
    func `named tailers are listed, moved and removed`(on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let log = try makeLog(on: medium, at: directory.appending("log"))
            #expect(try log.namedTailers().isEmpty)
            for name in ["b", "a", "c.d_e-1"] { try log.resetNamedTailer(name, to: .sequence(3)) }
            try log.resetNamedTailer("b", to: .end)
            #expect(try log.namedTailers().map(\.name) == ["a", "b", "c.d_e-1"])
            #expect(try log.namedTailers().map(\.sequence) == [3, 40, 3])
            try log.removeNamedTailer("a")
            #expect(try log.namedTailers().map(\.name) == ["b", "c.d_e-1"])
            #expect(code { try log.removeNamedTailer("a") } == .notFound)
            #expect(try log.tailer(named: "a").tailer.sequence == 0)
        }
    }

    @Test(
        arguments: ["", ".hidden", "-x", "_x", "a/b", "..", "ä", "a b", "a\0b", String(repeating: "x", count: 65)],
        LogMedium.allCases
    )
    func `a name of other characters is refused before it touches a file`(name: String, on medium: LogMedium) throws {
        try withTemporaryLogs(on: medium) { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: medium.small)
            #expect(code { _ = try log.tailer(named: name) } == .invalidName)
            #expect(code { try log.removeNamedTailer(name) } == .invalidName)
            #expect(code { try log.resetNamedTailer(name, to: .first) } == .invalidName)
            #expect(try log.namedTailers().isEmpty)
        }
    }

    @Test func `commits that aren't durable leave the slot of the last durable one as it is`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try makeLog(at: path)
            func slots() throws -> [ArraySlice<UInt8>] {
                let bytes = try readFile(path.appending("tailers/audit"))
                return [bytes[0..<64], bytes[512..<576]]
            }
            for durable in [true, false] {
                // Of a name that is opened anew too, where nobody knows which slot was flushed.
                var tailer = try log.tailer(named: "audit")
                if durable { try tailer.commit() }
                let before = try slots()
                let flushed = before.firstIndex { $0 == before.max { $0[$0.startIndex + 8] < $1[$1.startIndex + 8] } }!
                for step in 1...5 {
                    _ = try tailer.tailer.nextSeen()
                    try tailer.commit(durably: false)
                    #expect(try slots()[flushed] == before[flushed])
                    #expect(try log.namedTailers().map(\.sequence) == [(durable ? 0 : 5) + UInt64(step)])
                }
            }
        }
    }

    @Test(arguments: [0, 1024])
    func `a tailer whose making was cut short is as if it weren't there`(byteCount: Int) throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try makeLog(at: path)
            try log.sync()
            try writeFile(path.appending("tailers/cut"), [UInt8](repeating: 0, count: byteCount))
            #expect(try log.namedTailers().isEmpty)
            #expect(try Maintenance.verify(at: path).findings.isEmpty)
            #expect(try log.retain(Retention(segments: 1)).removed.count == 2)
            let tailer = try log.tailer(named: "cut")
            #expect(try log.namedTailers().map(\.sequence) == [tailer.tailer.sequence])
        }
    }

    @Test func `a torn commit leaves the one before`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try makeLog(at: path)
            for sequence in [UInt64(1), 2, 3, 4, 5] {
                try log.resetNamedTailer("torn", to: .sequence(sequence))
                let file = path.appending("tailers/torn")
                let whole = try readFile(file)
                // Each slot in turn is lost: one of the last two places is always there.
                var left: Set<UInt64> = []
                for slot in [0, 512] where whole[slot] != 0 {
                    var torn = whole
                    torn.replaceSubrange(slot + 16..<slot + 64, with: [UInt8](repeating: 0xEE, count: 48))
                    try writeFile(file, torn)
                    if let info = try? log.namedTailers().first { left.insert(info.sequence) }
                }
                try writeFile(file, whole)
                #expect(left == (sequence == 1 ? [] : [sequence, sequence - 1]))
            }
        }
    }
}
