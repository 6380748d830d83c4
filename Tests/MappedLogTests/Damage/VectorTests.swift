import Foundation
import MappedLog
import SystemPackage
import Testing

/// The golden logs of format 1.0: written by another program, from the specification alone.
@Suite struct VectorTests {
    @Test func `no vector is missing`() throws {
        let folder = FilePath(#filePath).removingLastComponent().appending("../../../spec/vectors")
        let folders = try FileManager.default.contentsOfDirectory(atPath: folder.string).filter {
            FileManager.default.fileExists(atPath: folder.appending($0).appending("log").string)
        }
        #expect(Vector.all.map(\.name) == folders.sorted())
        #expect(Vector.all.count >= 26)
    }

    @Test(arguments: Vector.all)
    func `a vector reads back, where it lies`(vector: Vector) throws {
        let before = try LogImage(of: vector.path)
        check(vector, Sight.of(vector.path))
        #expect(try LogImage(of: vector.path) == before)
    }

    @Test(arguments: Vector.all)
    func `a copy of a vector reads back`(vector: Vector) throws {
        try withTemporaryDirectory { directory in
            let copy = directory.appending("log")
            try copyDirectory(vector.path, to: copy)
            check(vector, Sight.of(copy))
        }
    }

    @Test(arguments: Vector.all.filter { $0.expected.error == nil })
    func `a vector says where it ends and what is durable`(vector: Vector) throws {
        let log = try Log.openReadOnly(at: vector.path)
        #expect(try log.endPosition.rawValue == vector.expected.endPosition)
        #expect(try log.nextSequence == vector.expected.nextSequence)
        #expect(try log.durablePosition.rawValue == vector.expected.knownDurable)
        #expect(log.isReadOnly)
    }

    @Test(arguments: Vector.all.filter { !$0.expected.seeks.isEmpty })
    func `seeks in a vector find what a walk would`(vector: Vector) throws {
        let log = try Log.openReadOnly(at: vector.path)
        for seek in vector.expected.seeks {
            let at: Comment = "from \(seek.from) \(seek.value)"
            if let error = seek.error {
                #expect(code { _ = try log.tailer(from: seek.start) }?.rawValue == error, at)
                continue
            }
            let tailer = try log.tailer(from: seek.start)
            #expect(tailer.position.rawValue == seek.position, at)
            #expect(tailer.sequence == seek.sequence, at)
            let records = Sight.of(log, from: seek.start).records
            #expect(records == vector.records.filter { $0.sequence >= seek.sequence! }, at)
        }
    }

    @Test(arguments: Vector.all.filter { !$0.expected.tailers.isEmpty })
    func `the named tailers of a vector stand where it says`(vector: Vector) throws {
        let found = try Log.openReadOnly(at: vector.path).namedTailers()
        #expect(found.map(\.name) == vector.expected.tailers.map(\.name))
        #expect(found.map(\.position) == vector.expected.tailers.map(\.position))
        #expect(found.map(\.sequence) == vector.expected.tailers.map(\.sequence))

        try withTemporaryDirectory { directory in
            let copy = directory.appending("log")
            try copyDirectory(vector.path, to: copy)
            let log = try Log.open(at: copy)
            for place in vector.expected.tailers {
                var tailer = try log.tailer(named: place.name)
                #expect(tailer.tailer.sequence == place.sequence)
                let record = try tailer.tailer.nextSeen()
                #expect(record == vector.records.first { $0.sequence == place.sequence })
                try tailer.commit()
            }
            let after = try Log.openReadOnly(at: copy).namedTailers()
            #expect(after.map(\.sequence) == vector.expected.tailers.map { $0.sequence + 1 })
        }
    }

    @Test(arguments: Vector.all.filter { $0.expected.error == nil })
    func `a vector opens for writing and goes on`(vector: Vector) throws {
        try withTemporaryDirectory { directory in
            let copy = directory.appending("log")
            try copyDirectory(vector.path, to: copy)
            if vector.name == "unknown-read-only-compatible" {
                let error = try #require(failure { _ = try Log.open(at: copy) })
                #expect(error.code == .unsupportedFeature)
                #expect(error.file?.lastComponent?.extension == "mlog")
                #expect(try LogImage(of: copy).withoutLive == LogImage(of: vector.path))
                return
            }
            let log = try Log.open(at: copy)
            #expect(log.recovery?.cleanClose == false)
            #expect(log.recovery?.endPosition == vector.expected.endPosition)
            #expect(log.recovery?.nextSequence == vector.expected.nextSequence)
            #expect(log.recovery?.durablePosition == vector.expected.knownDurable)
            #expect(Sight.of(log).records == vector.records)
            let appended = try log.append(Array("more".utf8))
            #expect(appended.sequence == vector.expected.nextSequence)
            #expect(appended.position.rawValue >= vector.expected.endPosition!)
            #expect(Sight.of(log).records.last?.payload == Array("more".utf8))
            try log.close()

            let again = try Log.open(at: copy)
            #expect(again.recovery?.cleanClose == true)
            #expect(Sight.of(again).records.dropLast() == vector.records[...])
        }
    }

    /// But for those whose damage lies inside a segment before known durable, which no open looks at.
    @Test(
        arguments: Vector.all.filter {
            $0.expected.error != nil && !["compacted-cut", "compacted-damage"].contains($0.name)
        }
    )
    func `a damaged vector does not open for writing and stays as it is`(vector: Vector) throws {
        try withTemporaryDirectory { directory in
            let copy = directory.appending("log")
            try copyDirectory(vector.path, to: copy)
            let expected = try #require(vector.expected.error)
            let error = try #require(failure { _ = try Log.open(at: copy) })
            check(expected, error)
            #expect(try LogImage(of: copy).withoutLive == LogImage(of: vector.path))
        }
    }

    /// A reader may report the error at once, or when it comes to it.
    private func check(_ vector: Vector, _ sight: Sight) {
        guard let expected = vector.expected.error else {
            #expect(sight.error == nil)
            #expect(sight.records == vector.records)
            #expect(
                sight.gone
                    == vector.expected.lost.map {
                        .init(position: $0.position, sequences: $0.sequence..<$0.nextSequence)
                    }
            )
            #expect(sight.position == vector.expected.endPosition)
            #expect(sight.sequence == vector.expected.nextSequence)
            return
        }
        guard let error = sight.error else {
            Issue.record("expected \(expected.code)")
            return
        }
        check(expected, error)
        #expect(sight.records == vector.records || sight.records.isEmpty)
    }

    private func check(_ expected: Vector.Expected.Failure, _ error: LogError) {
        #expect(error.code.rawValue == expected.code)
        #expect(error.file?.lastComponent?.string == expected.file)
        if let position = expected.position { #expect(error.position?.rawValue == position) }
        #expect(!error.description.contains("\n"))
        #expect(!error.advice.isEmpty)
    }
}
