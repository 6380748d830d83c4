import Foundation
import Glibc
import MappedLogCrashImages
import SystemPackage
import Testing

/// The fast form of `tools/torture crash-images`.
///
/// One after the other: what one records, the others would be seen in.
@Suite(.serialized) struct CrashImageTests {
    func withRoot<Result>(_ body: (FilePath) throws -> Result) throws -> Result {
        let memory = "/dev/shm"
        let parent = unsafe access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
        var template = Array("\(parent)/mlog-crash-images-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&template) != nil)
        let root = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        defer { try? FileManager.default.removeItem(atPath: root.string) }
        return try body(root)
    }

    @Test(.timeLimit(.minutes(5))) func `what a power cut leaves is recovered as promised`() throws {
        try withRoot { root in
            let seed = UInt64.random(in: 1...UInt64(UInt32.max))
            var campaign = CrashImageCampaign(in: root, seed: seed, exhaustion: 16)
            try campaign.run(until: .now + .seconds(15), images: 3000)
            // On a busy machine too.
            try campaign.run(until: .now + .seconds(120), images: 100)
            print("crash images: seed \(seed), \(campaign.counts)")
            let found = campaign.findings.map(\.description)
            #expect(found == [])
            #expect(campaign.counts.images >= 100 && campaign.counts.recoveredTwice >= 10)
            #expect(campaign.counts.imagesOf.count >= 3)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: CrashImageCampaign.Mistake.allCases)
    func `a mistake is noticed`(mistake: CrashImageCampaign.Mistake) throws {
        try withRoot { root in
            var campaign = CrashImageCampaign(in: root, seed: 7, exhaustion: 16, mistake: mistake)
            try campaign.run(until: .now + .seconds(200), stopsAtFinding: true)
            print("crash images: \(mistake) noticed after \(campaign.counts.images) images")
            #expect(!campaign.findings.isEmpty)
        }
    }
}
