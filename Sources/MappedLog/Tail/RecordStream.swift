/// The records of a log as an `AsyncSequence` that follows the log, until its task is cancelled.
///
/// Get one from ``Log/records(from:visibility:)``. Each iterator is a tailer of its own. Waiting holds no thread of
/// the cooperative pool.
public struct RecordStream: AsyncSequence, Sendable {
    /// A record that may be kept.
    public typealias Element = RetainedRecord
    /// Every failure is a ``LogError``.
    public typealias Failure = LogError

    let reader: LogReader
    let start: TailStart
    let visibility: Visibility

    /// Starts a tailer.
    ///
    /// - Returns: The iterator; a start that is not in the log is reported by its first `next()`.
    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    /// A tailer that waits without holding a thread.
    ///
    /// Not to be used by two tasks at once.
    public struct Iterator: AsyncIteratorProtocol {
        private let stream: RecordStream
        private var box: Box?

        private final class Box {
            var tailer: Tailer

            init(_ tailer: consuming Tailer) {
                self.tailer = tailer
            }
        }

        init(stream: RecordStream) {
            self.stream = stream
        }

        /// The next record, as soon as there is one; nil when the task was cancelled.
        ///
        /// - Throws: As ``Tailer/wait(upTo:)`` and ``Log/tailer(from:visibility:checksums:)``.
        /// - Returns: The record.
        public mutating func next() async throws(LogError) -> RetainedRecord? {
            try await next(isolation: nil)
        }

        /// The next record, as soon as there is one; nil when the task was cancelled.
        ///
        /// - Parameter actor: The actor to stay on.
        /// - Throws: As ``Tailer/wait(upTo:)`` and ``Log/tailer(from:visibility:checksums:)``.
        /// - Returns: The record.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(LogError) -> RetainedRecord? {
            let box = try startedBox()
            while !Task.isCancelled {
                if let record = try box.tailer.retainedNext() { return record }
                let place = box.tailer.waitPlace
                try await stream.reader.sleeper.sleep(until: place.event) { place.hasNews }
                if !place.hasNews { try stream.reader.checkStillThere() }
            }
            return nil
        }

        private mutating func startedBox() throws(LogError) -> Box {
            if let box { return box }
            let started = Box(try Tailer.start(stream.reader, stream.start, stream.visibility, checksums: true))
            box = started
            return started
        }
    }
}
