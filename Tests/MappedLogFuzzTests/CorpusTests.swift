import Foundation
import Glibc
import MappedLogFuzzing
import SystemPackage
import Testing

/// The committed inputs of `tools/fuzz`, minimal ones and those that once found something, tried again.
@Suite(.serialized) struct CorpusTests {
    @Test(.timeLimit(.minutes(5)), arguments: FuzzedDecoder.allCases)
    func `no input of the corpus traps, hangs or is read out of order`(decoder: FuzzedDecoder) throws {
        let folder = FilePath(#filePath).removingLastComponent().appending("../FuzzCorpus/\(decoder.rawValue)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.string).sorted()
        #expect(!names.isEmpty)
        let memory = "/dev/shm"
        let parent = unsafe access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
        let root = FilePath(parent).appending("mlog-corpus-\(getpid())-\(decoder.rawValue)")
        try FileManager.default.createDirectory(atPath: root.string, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root.string) }
        let target = try FuzzTarget(decoder, in: root)
        for name in names {
            let input = try #require(FileManager.default.contents(atPath: folder.appending(name).string))
            target.run(Array(input))
        }
    }
}
