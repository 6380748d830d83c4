import SystemPackage
import Testing

@testable import MappedLog

/// Headers, names and options that are not what they must be, each with right checksums (`spec/format.md`, 3 to 4.1).
@Suite struct HeaderTests {
    struct Change: Sendable, CustomTestStringConvertible {
        var name: String
        var offset: Int
        var bytes: [UInt8]
        /// What a reader says, and a writer; nil: goes on.
        var reader: LogError.Code?
        var writer: LogError.Code?
        var testDescription: String { name }

        init(_ name: String, _ offset: Int, _ bytes: [UInt8], _ both: LogError.Code?, writer: LogError.Code? = nil) {
            (self.name, self.offset, self.bytes, reader) = (name, offset, bytes, both)
            self.writer = writer ?? both
        }
    }

    static let changes = [
        Change("magic", 0, [0x88], .badMagic), Change("newer major", 8, [2], .unsupportedVersion),
        Change("major 0", 8, [0], .damaged), Change("newer minor", 10, [9], nil),
        Change("header size", 12, [0, 0x20], .unsupportedFeature),
        Change("frame header size", 16, [32], .unsupportedFeature),
        Change("checksum", 20, [2], .unsupportedFeature), Change("compatible", 24, [0xFF], nil),
        Change("read-only compatible", 28, [1], nil, writer: .unsupportedFeature),
        Change("incompatible", 35, [0x80], .unsupportedFeature), Change("reserved", 36, [1, 2, 3, 4], nil),
        Change("log id", 41, [0xEE, 0xEE], .foreignSegment), Change("segment size", 56, [0, 0, 2], .damaged),
        Change("segment size 0", 56, [0, 0, 0], .damaged), Change("base position", 66, [1], .damaged),
        Change("huge base position", 71, [0xFF], .damaged), Change("creation time", 72, [9, 9], nil),
        Change("more reserved", 100, [7, 7], nil),
    ]

    @Test(arguments: changes)
    func `a header field of another value is judged by its own rule`(change: Change) throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        image.edit { segment in
            segment.bytes.replaceSubrange(change.offset..<change.offset + change.bytes.count, with: change.bytes)
            segment.signHeader()
        }
        try image.withFiles { path in
            let segment = path.appending(SegmentImage.name(0))
            let sight = Sight.of(path)
            #expect(sight.error?.code == change.reader)
            #expect(sight.error == nil || sight.error?.file == segment)
            #expect(sight.records.map(\.payload) == (change.reader == nil ? [[1]] : []))
            let error = failure { try Log.open(at: path).append([2]) }
            #expect(error?.code == change.writer)
            if let error {
                #expect(error.file == segment)
                let after = try LogImage(of: path).withoutLive
                #expect(after == image)
            }
        }
    }

    @Test func `a segment of another form is judged by that form unless the raw one is there too`() throws {
        var image = try LogImage.ofCrash { log in
            for number in 0..<10 { try log.append(payload(number, 20_000)) }
        }
        for base in image.bases { image.edit(base) { $0.stateEverywhere(4096) } }
        let second = SegmentImage.name(65_536)
        for (suffix, code) in [(".lz4", LogError.Code.truncatedSegment), (".future", .unsupportedSegment)] {
            var both = image
            both.files[second + suffix] = [1, 2, 3]
            try both.withFiles { path in
                #expect(Sight.of(path).records.count == 10)
                let log = try Log.open(at: path)
                #expect(log.recovery?.nextSequence == 10)
            }
            var one = both
            one.files[second] = nil
            try one.withFiles { path in
                for error in [Sight.of(path).error, failure { _ = try Log.open(at: path) }] {
                    #expect(error?.code == code)
                    #expect(error?.file?.lastComponent?.string == second + suffix)
                }
            }
        }
    }

    @Test func `names that are no segment's are ignored`() throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        for name in [
            "README", "0000000000010000.mlo", "000000000001000G.mlog", "00000000000100000.mlog",
            "A000000000010000.mlog", ".tmp-x",
        ] {
            image.files[name] = [1]
        }
        try image.withFiles { path in #expect(Sight.of(path).records.count == 1) }
    }

    @Test(arguments: [
        "0000000000000001.mlog", "ffffffffffff0000.mlog", "8000000000000000.mlog", "0000000000020000.mlog",
    ])
    func `a segment whose name has no place in the row is reported`(name: String) throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        image.files[name] = image.files[SegmentImage.name(0)]
        try image.withFiles { path in
            for error in [Sight.of(path).error, failure { _ = try Log.open(at: path) }] {
                #expect(error?.code == .damaged || error?.code == .missingSegment)
                #expect(error?.file?.lastComponent?.string.hasSuffix(".mlog") == true)
            }
        }
    }

    @Test(arguments: [
        ("{}", LogError.Code.damaged), ("", .damaged), ("[]", .damaged), ("null", .damaged),
        (#"{"formatVersion":"2.0"}"#, .unsupportedVersion), (#"{"formatVersion":"2.0",ID,SIZE}"#, .unsupportedVersion),
        (#"{"formatVersion":"1",ID,SIZE}"#, .damaged), (#"{"formatVersion":1.0,ID,SIZE}"#, .damaged),
        (#"{"formatVersion":"1.0",ID}"#, .damaged), (#"{"formatVersion":"1.0",SIZE}"#, .damaged),
        (#"{"formatVersion":"1.0",ID,"segmentSize":-1}"#, .damaged),
        (#"{"formatVersion":"1.0",ID,"segmentSize":1e99}"#, .damaged),
        (#"{"formatVersion":"1.0",ID,"segmentSize":65537}"#, .damaged),
        (#"{"formatVersion":"1.0",ID,"segmentSize":"65536"}"#, .damaged),
        (#"{"formatVersion":"1.0","id":"x",SIZE}"#, .damaged), (#"{"id":7,"formatVersion":"1.0",SIZE}"#, .damaged),
        (#"{"deep":[[[[[[[[[[[["#, .damaged),
    ])
    func `options that are not what they must be are reported`(text: String, expected: LogError.Code) throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        image.files["options.json"] = try options(text, image)
        try image.withFiles { path in
            for error in [Sight.of(path).error, failure { _ = try Log.open(at: path) }] {
                #expect(error?.code == expected)
                #expect(error?.file == path.appending("options.json"))
            }
        }
    }

    @Test func `options of a hundred thousand brackets are damaged, and trap nobody`() throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        image.files["options.json"] = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        try image.withFiles { path in #expect(Sight.of(path).error?.code == .damaged) }
    }

    @Test(arguments: [
        #"{"formatVersion":"1.0",ID,SIZE}"#,
        #"{"formatVersion":"1.77",ID,SIZE,"more":{"a":[1,2]},"permissions":"0600"}"#,
        "\n {SIZE ,ID,\"formatVersion\" : \"1.0\"}\n\n",
    ])
    func `a reader needs three members, and ignores those it does not know`(text: String) throws {
        var image = try LogImage.ofCrash { log in try log.append([1]) }
        image.files["options.json"] = try options(text, image)
        try image.withFiles { path in #expect(Sight.of(path).records.map(\.payload) == [[1]]) }
    }

    /// `ID` and `SIZE` stand for the right members.
    private func options(_ text: String, _ image: LogImage) throws -> [UInt8] {
        let id = LogID(bytes: Array(SegmentImage(image).bytes[40..<56]))
        var text = text
        for (word, member) in [("ID", "\"id\":\"\(id)\""), ("SIZE", "\"segmentSize\":65536")] {
            while let place = text.firstRange(of: word) { text.replaceSubrange(place, with: member) }
        }
        return Array(text.utf8)
    }
}
