import Foundation
import MappedLog
import SystemPackage
import Testing

@Suite struct InfoTests {
    @Test func `info tells of a live log and of a closed one`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            let log = try Log.open(at: sample.path)
            try log.resetNamedTailer("worker", to: .sequence(10))
            for info in [try log.info(), try Log.openReadOnly(at: sample.path).info()] {
                #expect(info.writers == 1)
                #expect(info.medium == "file" && info.formatVersion == "1.0" && info.id == log.id.description)
                #expect(info.firstSequence == 0 && info.firstPosition == 4096)
                #expect(info.nextSequence == UInt64(sample.records.count))
                #expect(info.tailers.map(\.lag) == [UInt64(sample.records.count) - 10])
                check(info, sample)
            }
            let second = try Log.open(at: sample.path)
            #expect(try log.info().writers == 2)
            try second.close()
            try log.close()
            let closed = try Log.openReadOnly(at: sample.path).info()
            #expect(closed.writers == 0)
            #expect(closed.durablePosition == closed.endPosition)
            check(closed, sample)
        }
    }

    private func check(_ info: LogInfo, _ sample: Sample) {
        for segment in info.segments where segment.state != "prepared" {
            let records = sample.records.filter { sample.base(of: $0.position) == segment.base }
            #expect(segment.records == UInt64(records.count))
            #expect(segment.firstTimestamp == records.first?.timestamp)
            #expect(segment.lastTimestamp == records.last?.timestamp)
            #expect(segment.bytes == 128 << 10 && segment.storedBytes >= segment.bytes)
        }
        #expect(info.segments.count { $0.state == "active" } == 1)
        #expect(info.segments.count { $0.state == "sealed" } >= 2)
    }

    @Test func `a damaged segment hides no other`() throws {
        try withTemporaryDirectory { directory in
            let sample = try Sample(in: directory)
            try sample.zero(Harm.second..<Harm.second + 4096)
            let info = try Log.openReadOnly(at: sample.path).info()
            #expect(info.segments.map(\.state)[0...2] == ["sealed", "damaged", "sealed"])
        }
    }

    @Test func `the JSON form has these keys`() throws {
        try withTemporaryDirectory { directory in
            let log = try Log.create(at: directory.appending("log"), options: .small)
            let json = try JSONEncoder().encode(log.info())
            let object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
            #expect(
                Set(object.keys) == [
                    "id", "formatVersion", "medium", "segmentSize", "firstSequence", "nextSequence", "firstPosition",
                    "endPosition", "durablePosition", "writers", "tailers", "segments",
                ]
            )
            let segment = try #require((object["segments"] as? [[String: Any]])?.first)
            #expect(
                Set(segment.keys) == [
                    "base", "state", "bytes", "storedBytes", "records", "firstTimestamp", "lastTimestamp",
                ]
            )
        }
    }
}
