import ArgumentParser
import Foundation
import Glibc
import MappedLogCrashImages
import SystemPackage

/// Builds the disks that a power cut could leave, recovers them, and looks whether what was promised is there.
struct CrashImages: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash-images",
        abstract: "Recovers the disks that a power cut could leave."
    )

    @OptionGroup var campaign: CampaignOptions
    @Option(help: "A moment that could leave this many disks at most has them all built.")
    var exhaustion = 256
    @Option(help: "A disk that was kept: check it again.")
    var replay: String?

    func run() throws {
        let root = try makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: root.string) }
        if let replay { return try check(FilePath(replay), in: root) }
        print("crash-images: seed \(campaign.seed), \(campaign.seconds) seconds")
        var images = CrashImageCampaign(
            in: root,
            seed: campaign.seed,
            exhaustion: exhaustion,
            keeping: FilePath(FileManager.default.currentDirectoryPath)
        )
        let deadline = campaign.deadline
        while ContinuousClock.now < deadline, images.findings.isEmpty {
            // A report each few thousand images.
            try images.run(until: deadline, images: images.counts.images + 5000, stopsAtFinding: true)
            report(images.counts)
        }
        for finding in images.findings {
            print("FOUND \(finding.description)")
            if let kept = finding.kept { print("  tools/torture crash-images --replay \(kept)") }
        }
        if !images.findings.isEmpty { throw ExitCode.failure }
        print("crash-images: nothing found")
    }

    private func report(_ counts: CrashImageCampaign.Counts) {
        print(
            """
            \(counts.images) images of \(counts.runs) runs, \(counts.runsOverRecovered) of them over a recovered image; \
            \(counts.imagesOfExhaustedMoments) are all there are of \(counts.exhaustedMoments) moments; \
            \(counts.recoveredTwice) recovered twice; \(counts.withoutLog) before the log was made
            """
        )
        let kinds = Activity.allCases.map { "\($0.rawValue) \(counts.imagesOf[$0] ?? 0)" }
        print("  in or just behind: \(kinds.joined(separator: ", "))")
        fflush(nil)
    }

    private func check(_ kept: FilePath, in root: FilePath) throws {
        guard let wrong = try CrashImageCampaign.replay(kept, in: root) else { return print("nothing wrong with it") }
        print("FOUND \(wrong)")
        throw ExitCode.failure
    }

    private func makeDirectory() throws -> FilePath {
        let memory = "/dev/shm"
        let parent = unsafe access(memory, W_OK) == 0 ? memory : NSTemporaryDirectory()
        var template = Array("\(parent)/mlog-crash-images-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        return FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
