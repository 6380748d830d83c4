import Foundation
import MappedLog
public import SystemPackage

/// Records runs, builds the disks that a power cut could have left at each moment, recovers them, and holds what comes
/// out against what was promised.
public struct CrashImageCampaign {
    /// A mistake on purpose, to see that it is noticed.
    public enum Mistake: CaseIterable, Sendable {
        /// One record more counts as acknowledged.
        case oneRecordMore
        /// As if flushes of segments did nothing.
        case segmentsNotFlushed
        /// As if flushes of the log's directory did nothing.
        case topDirectoryNotFlushed
        /// As if compaction didn't flush what it writes.
        case compactedNotFlushed
        /// As if durable commits of named tailers weren't flushed.
        case tailersNotFlushed
    }

    /// What a campaign has done.
    public struct Counts: Sendable {
        /// Runs that were recorded.
        public var runs = 0
        /// Those of them that began with a recovery: of a disk that a power cut had left.
        public var runsOverRecovered = 0
        /// Disks that were built, recovered and checked.
        public var images = 0
        /// Those of them that belong to a moment in the midst of something, or just behind it, by what that was.
        public var imagesOf: [Activity: Int] = [:]
        /// Moments of which all disks were built, with sectors whole.
        public var exhaustedMoments = 0
        /// How many disks these were.
        public var imagesOfExhaustedMoments = 0
        /// Disks that were recovered a second time.
        public var recoveredTwice = 0
        /// Disks of a log that was being created, and didn't have to be there.
        public var withoutLog = 0

        /// Whether fewer images than its share belong to it.
        func isRare(_ activity: Activity) -> Bool {
            imagesOf[activity, default: 0] < images / Activity.allCases.count
        }
    }

    /// A promise that was broken.
    public struct Finding: Sendable {
        /// By which seed, where, and how.
        public let description: String
        /// Where the disk and what was promised are kept, for ``replay(_:in:)``.
        public let kept: FilePath?
    }

    /// What was done so far.
    public private(set) var counts = Counts()
    /// What was found so far.
    public private(set) var findings: [Finding] = []

    private let mistake: Mistake?
    private let keeping: FilePath?
    private let seed: UInt64
    private var chance: Chance
    private let check: ImageCheck
    /// How many images of one moment may be built, to have them all.
    private let exhaustion: Int
    private var limits = Limits()
    private var turns: Int

    /// - Parameters:
    ///   - root: A directory in memory, or flushes take their time.
    ///   - seed: For all choices.
    ///   - exhaustion: A moment with this many disks at most has them all built.
    ///   - keeping: Where findings are kept; nil: nowhere.
    ///   - mistake: A mistake on purpose.
    public init(
        in root: FilePath,
        seed: UInt64,
        exhaustion: Int = 128,
        keeping: FilePath? = nil,
        mistake: Mistake? = nil
    ) {
        self.seed = seed
        self.keeping = keeping
        self.mistake = mistake
        self.exhaustion = exhaustion
        chance = Chance(seed: seed)
        // A short one doesn't come to all kinds.
        turns = Int.random(in: 0..<RecordedRun.Kind.allCases.count, using: &chance)
        check = ImageCheck(root: root)
    }

    /// Goes on until the deadline, or until so many images, or until a finding where one is enough.
    public mutating func run(
        until deadline: ContinuousClock.Instant,
        images: Int = .max,
        stopsAtFinding: Bool = false
    ) throws {
        limits = Limits(deadline: deadline, images: images, findings: stopsAtFinding ? 1 : .max)
        let kinds = mistake?.kinds ?? RecordedRun.Kind.allCases
        while !isDone {
            try DiskImage().write(to: check.root)
            try explore(kinds[turns % kinds.count], over: nil, depth: 0)
            turns += 1
        }
    }

    private struct Limits {
        var deadline = ContinuousClock.now
        var images = 0
        var findings = 0
    }

    private var isDone: Bool {
        ContinuousClock.now >= limits.deadline || counts.images >= limits.images || findings.count >= limits.findings
    }

    /// Checks a disk that was kept again.
    ///
    /// - Returns: What is wrong with it; nil: nothing.
    public static func replay(_ kept: FilePath, in root: FilePath) throws -> String? {
        func decode<Value: Decodable>(_ name: String) throws -> Value {
            let data = try Data(contentsOf: URL(filePath: kept.appending(name).string))
            return try JSONDecoder().decode(Value.self, from: data)
        }
        let promise: Promise = try decode("promise.json")
        let identity: ControlIdentity? = try decode("control.json")
        var image = try DiskImage(of: kept.appending("disk"))
        try image.write(to: root)
        if let identity, let own = ControlIdentity(of: root.appending(ImageCheck.control)),
            let content = image.files[ImageCheck.control]
        {
            image.files[ImageCheck.control] = own.adopt(content, of: identity)
        }
        do {
            _ = try ImageCheck(root: root).recover(image, promise, again: true)
            return nil
        } catch {
            return "\(error)"
        }
    }

    // MARK: One run

    private mutating func explore(
        _ kind: RecordedRun.Kind,
        over base: Promise?,
        depth: Int
    ) throws {
        let run = try RecordedRun.record(kind, in: check.root, over: base, forgetting: mistake?.forgotten, &chance)
        counts.runs += 1
        if depth > 0 { counts.runsOverRecovered += 1 }
        var recoverable: [(DiskImage, Promise)] = []
        for moment in moments(of: run, depth) {
            if isDone { return }
            let states = DiskStates(run.history, at: moment)
            let activity = run.activity(at: moment)
            var promise = run.promises.promise(at: moment)
            if mistake == .oneRecordMore, promise.acknowledged < promise.records.last.map({ $0.sequence + 1 }) ?? 0 {
                promise.acknowledged += 1
            }
            for choice in choices(states, depth, isRare: counts.isRare(activity)) {
                if isDone { return }
                let image = choice.image(of: states)
                counts.imagesOf[activity, default: 0] += 1
                if let next = recover(image, promise, "\(kind), \(activity), depth \(depth), moment \(moment)") {
                    if depth < 2, chance.oneIn(12) { recoverable.append((image, next)) }
                }
            }
        }
        // Crash inside recovery, and behind appends that follow it.
        for (image, promise) in recoverable.prefix(depth == 0 ? 4 : 2) where !isDone {
            try image.write(to: check.root)
            try explore(
                (mistake?.kinds ?? RecordedRun.Kind.allCases).randomElement(using: &chance)!,
                over: promise,
                depth: depth + 1
            )
        }
    }

    private mutating func moments(of run: RecordedRun.Result, _ depth: Int) -> [Int] {
        let (end, counts) = (run.history.time, counts)
        // Where something was acknowledged is the moment to lose it; where names change there is more to be lost.
        let acknowledged =
            run.promises.acknowledgements.map(\.time) + run.promises.commits.compactMap(\.durable)
            + run.history.operations.map(\.time)
        let kinds = Set(run.activities.map(\.activity)).sorted { $0.rawValue < $1.rawValue }
        let chosen = (0..<(depth == 0 ? 12 : 8)).map { number in
            switch number % 4 {
            case 0: return Int.random(in: 0...end, using: &chance)
            case 1 where !acknowledged.isEmpty: return acknowledged.randomElement(using: &chance)!
            default:
                // Most of the time passes in few of them: what was looked at least often has its turn.
                let rare = kinds.min { counts.imagesOf[$0, default: 0] < counts.imagesOf[$1, default: 0] }!
                let kind = number % 4 == 2 ? rare : kinds.randomElement(using: &chance)!
                let index = run.activities.indices.filter { run.activities[$0].activity == kind }
                    .randomElement(using: &chance)!
                let next = index + 1 < run.activities.count ? run.activities[index + 1].begun : end
                return Int.random(in: min(run.activities[index].begun + 1, next)...next, using: &chance)
            }
        }
        return Set(chosen).sorted()
    }

    private mutating func choices(_ states: DiskStates, _ depth: Int, isRare: Bool) -> [DiskChoice] {
        // Deeper down there are many more runs.
        if states.count(upTo: depth == 0 ? exhaustion : exhaustion / 8) != nil {
            let all = states.allChoices
            counts.exhaustedMoments += 1
            counts.imagesOfExhaustedMoments += all.count
            return all
        }
        return (0..<(isRare ? 6 : 1)).flatMap { _ in
            DiskStates.Manner.allCases.map { states.choice($0, &chance) }
        }
    }

    /// - Returns: What the recovered log promises from then on; nil: it has none.
    private mutating func recover(_ image: DiskImage, _ promise: Promise, _ place: String) -> Promise? {
        counts.images += 1
        let again = chance.oneIn(3)
        if again { counts.recoveredTwice += 1 }
        do {
            guard let recovered = try check.recover(image, promise, again: again) else {
                counts.withoutLog += 1
                return nil
            }
            return promise.after(recovered)
        } catch {
            let kept = try? keep(image, promise)
            findings.append(Finding(description: "seed \(seed), \(place): \(error)", kept: kept))
            return nil
        }
    }

    private func keep(_ image: DiskImage, _ promise: Promise) throws -> FilePath? {
        guard let keeping else { return nil }
        let place = keeping.appending("crash-image-\(seed)-\(findings.count)")
        try FileManager.default.createDirectory(
            atPath: place.appending("disk").string,
            withIntermediateDirectories: true
        )
        try image.write(to: place.appending("disk"))
        func encode(_ value: some Encodable, _ name: String) throws {
            try JSONEncoder().encode(value).write(to: URL(filePath: place.appending(name).string))
        }
        try encode(promise, "promise.json")
        try encode(ControlIdentity(of: check.root.appending(ImageCheck.control)), "control.json")
        return place
    }
}

extension Promise {
    /// What was recovered is on the disk: the next power cut, inside of another recovery too, must not take it.
    fileprivate func after(_ recovered: ImageCheck.Recovered) -> Promise {
        var next = Promise()
        next.records = records.filter { $0.sequence < (recovered.first + UInt64(recovered.records.count)) }
        next.acknowledged = recovered.first + UInt64(recovered.records.count)
        next.first = recovered.first...recovered.first
        next.tailers = recovered.tailers.mapValues { .init(mustExist: true, sequences: [$0]) }
        return next
    }
}

extension CrashImageCampaign.Mistake {
    /// The runs in which it can show.
    fileprivate var kinds: [RecordedRun.Kind] {
        switch self {
        case .oneRecordMore, .segmentsNotFlushed, .topDirectoryNotFlushed: RecordedRun.Kind.allCases
        case .compactedNotFlushed: [.maintained]
        case .tailersNotFlushed: [.tailed]
        }
    }

    fileprivate var forgotten: DiskRecorder.Forgotten? {
        switch self {
        case .oneRecordMore: nil
        case .segmentsNotFlushed: .init(isDirectory: false) { $0.hasSuffix(".mlog") }
        case .topDirectoryNotFlushed: .init(isDirectory: true) { $0 == ImageCheck.logName }
        case .compactedNotFlushed: .init(isDirectory: false) { $0.contains(".tmp-compact") }
        case .tailersNotFlushed: .init(isDirectory: false) { $0.contains("/tailers/") }
        }
    }
}
