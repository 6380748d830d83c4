import Foundation
import MappedLog
import SystemPackage
import Testing

/// A golden log of `spec/vectors`: how it lies on the disk, and what a reader must find in it.
struct Vector: Sendable, CustomTestStringConvertible {
    let name: String
    let path: FilePath
    let expected: Expected

    var testDescription: String { name }

    struct Expected: Decodable, Sendable {
        struct Record: Decodable, Sendable {
            var sequence: UInt64
            var position: UInt64
            var timestamp: Int64
            var payloadBase64: Data
        }
        struct Lost: Decodable, Sendable {
            var position: UInt64
            var sequence: UInt64
            var nextSequence: UInt64
        }
        struct Place: Decodable, Sendable {
            var name: String
            var position: UInt64
            var sequence: UInt64
        }
        struct Seek: Decodable, Sendable {
            var from: String
            var value: Int64
            var position: UInt64?
            var sequence: UInt64?
            var error: String?

            var start: TailStart {
                switch from {
                case "sequence": .sequence(UInt64(value))
                case "position": .position(Position(rawValue: UInt64(value)))
                default: .time(Timestamp(nanosecondsSince1970: value))
                }
            }
        }
        struct Failure: Decodable, Sendable {
            var code: String
            var file: String
            var position: UInt64?
        }

        var records: [Record]
        var lost: [Lost]
        var endPosition: UInt64?
        var nextSequence: UInt64?
        var knownDurable: UInt64?
        var tailers: [Place]
        var seeks: [Seek]
        var error: Failure?
    }

    /// The records as a tailer sees them.
    var records: [SeenRecord] {
        expected.records.map {
            SeenRecord(
                sequence: $0.sequence,
                position: $0.position,
                timestamp: $0.timestamp,
                payload: Array($0.payloadBase64)
            )
        }
    }

    /// All vectors, in order of their names.
    ///
    /// There are none only if the repository is not whole.
    static let all: [Vector] = {
        let folder = FilePath(#filePath).removingLastComponent().appending("../../../spec/vectors")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []
        return names.sorted().compactMap { name in
            let path = folder.appending(name)
            guard let json = FileManager.default.contents(atPath: path.appending("expected.json").string) else {
                return nil
            }
            let decoder = JSONDecoder()
            guard let expected = try? decoder.decode(Expected.self, from: json) else { return nil }
            return Vector(name: name, path: path.appending("log"), expected: expected)
        }
    }()
}
