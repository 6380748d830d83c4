import Foundation
import MappedLog
import SystemPackage
import Testing

/// Files that have a segment's name and are no part of the log.
@Suite struct StrayTests {
    @Test(arguments: [
        "0000000000a00000.mlog", "7fffffffffff0000.mlog", "0000000000000007.mlog", "0000000000000005.mlog.lz4",
        "next",
    ])
    func `a stray goes to lost+found and makes no segment`(name: String) throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let segments = try names(sample)
            let name = name == "next" ? sample.file(Harm.second * 9).lastComponent!.string : name
            try FileManager.default.copyItem(
                atPath: sample.file(0).string,
                toPath: sample.path.appending(name).string
            )
            let found = try Maintenance.verify(at: sample.path)
            #expect(found.findings.map(\.kind) == [.header])
            #expect(found.findings.first?.file == sample.path.appending(name).string)
            let report = try Maintenance.repair(at: sample.path)
            #expect(report.kept == [sample.path.appending("lost+found").appending(name).string])
            #expect(report.skippedRanges == [])
            #expect(try names(sample).subtracting(segments).count <= 1)
            #expect(try Maintenance.verify(at: sample.path).findings == [])
            #expect(Sight.of(sample.path).records == sample.records)
            let log = try Log.open(at: sample.path)
            #expect(try log.append(Array("more".utf8)).sequence == UInt64(sample.records.count))
            try log.close()
        }
    }

    @Test func `a segment whose name now is a symbolic link or a directory is a finding`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let file = sample.file(Harm.second).string
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/null")
            #expect(try Maintenance.verify(at: sample.path).findings.map(\.file) == [file])
            _ = try Maintenance.repair(at: sample.path)
            #expect(try Maintenance.verify(at: sample.path).findings == [])
        }
    }

    @Test func `repair believes the headers, not options that say another segment size`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            try replace(sample, "\(Harm.second)", "65536")
            #expect(try Maintenance.verify(at: sample.path).findings.map(\.kind) == [.options])
            _ = try Maintenance.repair(at: sample.path)
            #expect(try Maintenance.verify(at: sample.path).findings == [])
            #expect(Sight.of(sample.path).records == sample.records)
        }
    }

    @Test func `who can't know the log's durability doesn't write to it`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            try replace(sample, "\"never\"", "\"newer\"")
            #expect(try Maintenance.verify(at: sample.path).findings.map(\.kind) == [.options])
            #expect(code { _ = try Log.open(at: sample.path) } == .damaged)
            #expect(Sight.of(sample.path).records == sample.records)
            _ = try Maintenance.repair(at: sample.path)
            try Log.open(at: sample.path).close()
        }
    }

    @Test func `verify and info agree on what is durable`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let info = try Log.openReadOnly(at: sample.path).info()
            #expect(try Maintenance.verify(at: sample.path).durablePosition == info.durablePosition)
        }
    }

    private func names(_ sample: Sample) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: sample.path.string).filter { $0.hasSuffix(".mlog") })
    }

    private func replace(_ sample: Sample, _ old: String, _ new: String) throws {
        let path = sample.path.appending("options.json").string
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacingOccurrences(of: old, with: new).write(toFile: path, atomically: false, encoding: .utf8)
    }
}
