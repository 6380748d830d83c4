import Foundation
import MappedLog
import SystemPackage
import Testing

@Suite struct VerifyTests {
    @Test func `a closed log is whole`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let before = try LogImage(of: sample.path)
            var progress: [VerifyProgress] = []
            let report = try Maintenance.verify(at: sample.path) { progress.append($0) }
            #expect(report.findings == [])
            #expect(report.notes == [])
            #expect(report.isWhole && !report.isLive)
            #expect(report.records == UInt64(sample.records.count))
            #expect(report.nextSequence == UInt64(sample.records.count))
            #expect(progress.last.map { $0.bytesDone == $0.bytesTotal } == true)
            #expect(try LogImage(of: sample.path) == before)
        }
    }

    @Test(arguments: ["control", "lock", "waiters"], ["link", "fifo", "directory"])
    func `what is no file in live is found, and advice helps`(name: String, kind: String) throws {
        try withTemporaryDirectory { directory in
            let path = try Sample(in: directory).path
            let file = path.appending("live").appending(name).string
            try FileManager.default.removeItem(atPath: file)
            switch kind {
            case "link": #expect(unsafe symlink("/dev/null", file) == 0)
            case "fifo": #expect(unsafe mkfifo(file, 0o600) == 0)
            default: #expect(unsafe mkdir(file, 0o700) == 0)
            }
            let report = try Maintenance.verify(at: path)
            #expect(report.findings.map(\.kind) == [.liveFile])
            #expect(report.findings.map(\.file) == [file])
            for error in [failure { _ = try Log.open(at: path) }, failure { _ = try Maintenance.repair(at: path) }] {
                #expect(error?.code == .damaged)
                #expect(error?.file?.string == file)
                #expect(error?.advice.hasPrefix("remove it while no process") == true)
            }
            try FileManager.default.removeItem(atPath: file)
            try Log.open(at: path).close()
            #expect(try Maintenance.verify(at: path).isWhole)
        }
    }

    @Test(arguments: Harm.all)
    func `damage is found`(harm: Harm) throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            try harm.apply(sample)
            let report = try Maintenance.verify(at: sample.path)
            #expect(report.findings.map(\.kind).contains(harm.kind))
            #expect(!report.isWhole)
            #expect(report.endPosition > 3 * Harm.second)
            let lost = report.findings.reduce(into: Set<UInt64>()) { $0.formUnion($1.affectedSequences ?? 0..<0) }
            #expect(lost == harm.lost(sample))
            for finding in report.findings {
                #expect(finding.file.hasPrefix(sample.path.string))
                #expect(!finding.what.contains("\n"))
            }
        }
    }

    @Test func `several damages are all found at once`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let positions = [20, 45, 60, 200].map { sample.records[$0].position }
            for position in positions { try sample.flip(position + 50) }
            try sample.flip(Harm.second + 512 + 8)
            try FileManager.default.removeItem(atPath: sample.file(2 * Harm.second).string)
            let report = try Maintenance.verify(at: sample.path)
            #expect(
                report.findings.map(\.kind) == [.frame, .frame, .frame, .activationLine, .frame, .missingSegment]
                    || report.findings.count == 6
            )
            #expect(Set(positions.dropLast()).isSubset(of: Set(report.findings.compactMap(\.position))))
            let decoded = try JSONDecoder().decode(VerifyReport.self, from: JSONEncoder().encode(report))
            #expect(decoded == report)
        }
    }

    @Test func `a torn tail is a note`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let end = try Maintenance.verify(at: sample.path).endPosition
            let base = sample.base(of: end)
            for offset in 0..<40 { try edit(sample.file(base), at: Int(end - base) + offset) { _ in 9 } }
            let report = try Maintenance.verify(at: sample.path)
            #expect(report.isWhole)
            #expect(report.notes.map(\.kind) == [.tornTail])
            #expect(report.notes.first?.position == end)
            #expect(report.notes.first?.bytes == 40)
            #expect(try Maintenance.recover(at: sample.path).cutPosition == end)
            #expect(try Maintenance.verify(at: sample.path).notes == [])
        }
    }

    @Test func `a live log is whole at every moment`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            for number in 0..<300 {
                try log.append(payload(number, 500))
                if number % 30 == 0 {
                    let report = try Maintenance.verify(at: path)
                    #expect(report.isLive)
                    #expect(report.findings == [])
                    #expect(report.notes == [])
                    #expect(report.nextSequence == UInt64(number) + 1)
                    #expect(report.records == UInt64(number) + 1)
                }
            }
        }
    }

    @Test func `damage of a live log is found`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            let places = try (0..<10).map { try log.append(payload($0, 500)).position.rawValue }
            try edit(path.appending("0000000000000000.mlog"), at: Int(places[4]) + 40) { $0 ^ 1 }
            let report = try Maintenance.verify(at: path)
            #expect(report.findings.map(\.position) == [places[4]])
            #expect(report.findings.first?.affectedSequences == 4..<5)
        }
    }

    @Test(arguments: Vector.all)
    func `a vector is whole unless it shows an error`(vector: Vector) throws {
        let before = try LogImage(of: vector.path)
        let report = try Maintenance.verify(at: vector.path)
        #expect(try LogImage(of: vector.path) == before)
        guard let error = vector.expected.error else {
            #expect(report.findings == [])
            #expect(report.records == UInt64(vector.records.count))
            #expect(report.endPosition == vector.expected.endPosition)
            #expect(report.nextSequence == vector.expected.nextSequence)
            #expect(report.notes.filter { $0.kind == .lost }.count == vector.expected.lost.count)
            return
        }
        #expect(report.findings.contains { FilePath($0.file).lastComponent?.string == error.file })
        if let position = error.position { #expect(report.findings.contains { $0.position == position }) }
    }

    @Test func `a damaged named tailer and damaged options are found`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let log = try Log.open(at: sample.path)
            _ = try log.tailer(named: "good")
            _ = try log.tailer(named: "bad")
            try log.close()
            try edit(sample.path.appending("tailers/bad"), at: 16) { $0 ^ 1 }
            try edit(sample.path.appending("tailers/bad"), at: 512 + 16) { $0 ^ 1 }
            try writeFile(sample.path.appending("options.json"), Array("{".utf8))
            let report = try Maintenance.verify(at: sample.path)
            #expect(report.findings.map(\.kind) == [.options, .namedTailer])
            #expect(report.records == UInt64(sample.records.count))
        }
    }

    @Test func `what is no log is an error`() throws {
        try withTemporaryDirectory { directory in
            #expect(code { _ = try Maintenance.verify(at: directory) } == .notALog)
            #expect(code { _ = try Maintenance.verify(at: directory.appending("nothing")) } == .notFound)
        }
    }
}
