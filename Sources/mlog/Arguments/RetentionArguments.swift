import ArgumentParser
import MappedLog

/// The options that say, for `mlog create`, what is to be removed from then on.
struct RetentionArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Remove old segments when all together have more bytes.", valueName: "size"))
    var retainBytes: ByteSize?

    @Option(help: ArgumentHelp("Remove segments whose newest record is older.", valueName: "duration"))
    var retainAge: TimeSpan?

    @Option(help: ArgumentHelp("Remove old segments when there are more.", valueName: "count"))
    var retainSegments: Int?

    /// Nil: nothing is to be removed.
    var rule: Retention? {
        guard retainBytes != nil || retainAge != nil || retainSegments != nil else { return nil }
        return Retention(bytes: retainBytes?.bytes, age: retainAge?.duration, segments: retainSegments)
    }

    func check() throws {
        try rule?.check(namedWith: "--retain-")
    }
}

extension Retention {
    /// Refuses what makes no sense, in the words of the command line.
    func check(namedWith prefix: String) throws {
        if bytes == 0 { throw ValidationError("\(prefix)bytes takes more than 0 bytes.") }
        if age == .zero { throw ValidationError("\(prefix)age takes more than 0s.") }
        if let segments, segments < 1 { throw ValidationError("\(prefix)segments takes 1 or more.") }
    }
}
