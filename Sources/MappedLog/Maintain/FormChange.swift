internal import Glibc
internal import Synchronization

/// Gives segments another form, some at a time, each by a thread of its own.
final class FormChange: Sendable {
    /// Changes one segment, and calls `advance` with how many bytes of it are done; nil: it is gone, or stays.
    typealias Change =
        @Sendable (_ base: UInt64, _ advance: Advance) throws(LogError) -> CompactionReport.Segment?
    typealias Advance = (UInt64) throws(LogError) -> Void
    typealias Progress = (CompactionProgress) throws(LogError) -> Void

    private let change: Change
    private let bases: [UInt64]
    private let jobs: Int
    private let segmentSize: UInt64
    private let state = Mutex(State())

    private struct State {
        var next = 0
        var finished = 0
        var done: [CompactionReport.Segment] = []
        var failure: LogError?
        var progress = CompactionProgress()
    }

    init(_ place: LogPlace, bases: [UInt64], jobs: Int, _ change: @escaping Change) {
        self.change = change
        self.bases = bases
        self.jobs = min(jobs, max(bases.count, 1))
        segmentSize = place.geometry.segmentSize
    }

    /// - Parameter progress: Called on this thread; what it throws ends the run.
    /// - Throws: The first failure, once the segments that were under way are done. No other is begun behind it.
    /// - Returns: What was done, by base position.
    func run(_ progress: Progress?) throws(LogError) -> [CompactionReport.Segment] {
        let total = UInt64(bases.count) * segmentSize
        state.withLock { $0.progress.bytesTotal = total }
        let helpers = (0..<jobs - 1).map { _ in BackgroundThread() }
        var failure: LogError?
        for helper in helpers {
            do throws(LogError) {
                try helper.start("mlog-compact") { [self] in
                    work(nil)
                    return .seconds(3600)
                }
            } catch {
                failure = error
                break
            }
        }
        if failure == nil { work(progress) }
        // Its own part is done; the others go on.
        while let progress, failure == nil, state.withLock({ $0.failure == nil && $0.finished < bases.count }) {
            usleep(50_000)
            do throws(LogError) { try progress(state.withLock { $0.progress }) } catch { failure = error }
        }
        for helper in helpers { helper.end() }
        if let failure = failure ?? state.withLock({ $0.failure }) { throw failure }
        return state.withLock { $0.done.sorted { $0.base < $1.base } }
    }

    private func work(_ progress: Progress?) {
        while let base = takeNext() {
            var before: UInt64 = 0
            do throws(LogError) {
                let segment = try change(base) { done throws(LogError) in
                    let now = state.withLock { state in
                        state.progress.bytesDone += done - before
                        return state.progress
                    }
                    before = done
                    try progress?(now)
                }
                state.withLock { state in
                    state.finished += 1
                    state.progress.bytesFinished += segment?.bytesBefore ?? 0
                    state.progress.bytesWritten += segment?.bytesAfter ?? 0
                    if let segment { state.done.append(segment) }
                }
            } catch {
                state.withLock { state in
                    state.finished += 1
                    state.failure = state.failure ?? error
                }
            }
        }
    }

    private func takeNext() -> UInt64? {
        state.withLock { state in
            guard state.failure == nil, state.next < bases.count else { return nil }
            defer { state.next += 1 }
            return bases[state.next]
        }
    }
}
