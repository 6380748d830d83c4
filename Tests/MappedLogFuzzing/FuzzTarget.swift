import Glibc
import MappedLog
import MappedLogCrashImages
public import SystemPackage

/// Puts inputs into a log, and reads the log in every way there is.
///
/// Whatever the input, nothing may trap, hang or read out of bounds; what is read is in order; and a log that can be
/// opened can be appended to.
public final class FuzzTarget {
    private let decoder: FuzzedDecoder
    private let log: FilePath
    private var clean = DiskImage()
    private let original: [UInt8]
    private var isClean = false

    /// - Parameters:
    ///   - decoder: What is fuzzed.
    ///   - directory: An empty directory, in memory if it shall be fast.
    /// - Throws: What keeps the golden log from being copied.
    public init(_ decoder: FuzzedDecoder, in directory: FilePath) throws {
        self.decoder = decoder
        log = directory.appending("log")
        _ = unsafe mkdir(log.string, 0o700)
        clean = try DiskImage(of: GoldenLog.folder.appending(decoder.vector).appending("log"))
        clean.directories.formUnion(["live", "tailers", "lost+found"])
        if decoder == .control {
            // A control block that names its own file: of a log that was open here.
            try clean.write(to: log)
            try Log.open(at: log).close()
            clean = try DiskImage(of: log)
        }
        original = clean.files[decoder.file] ?? []
    }

    /// Tries an input.
    public func run(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let mode = FuzzedMode(first)
        clean.files[decoder.file] = decoder.content(original, input.dropFirst(), mode)
        do {
            if isClean { try clean.write([decoder.file], to: log) } else { try clean.write(to: log) }
        } catch {
            fatalError("no room for the log: \(error)")
        }
        if mode.verifies { _ = try? Maintenance.verify(at: log) }
        read()
        isClean = !mode.writes && !mode.repairs
        if mode.repairs { _ = try? Maintenance.repair(at: log) }
        if mode.writes { write() }
    }

    // MARK: Reading

    private func read() {
        _ = try? LogOptions(ofLogAt: log)
        guard let log = try? Log.openReadOnly(at: log) else { return }
        _ = try? (log.endPosition, log.nextSequence, log.durablePosition)
        _ = try? log.info()
        _ = try? log.namedTailers()
        let starts: [(TailStart, records: Int)] = [
            (.first, .max), (.end, 3), (.sequence(2), 3), (.sequence(.max), 3),
            (.position(Position(rawValue: 4096)), 3),
            (.position(Position(rawValue: .max)), 3), (.time(Timestamp(nanosecondsSince1970: 0)), 3),
            (.time(Timestamp(nanosecondsSince1970: .max)), 3),
        ]
        for (start, records) in starts {
            guard var tailer = try? log.tailer(from: start) else { continue }
            follow(&tailer, upTo: records)
        }
        if var tailer = try? log.tailer(visibility: .durable) { follow(&tailer, upTo: 3) }
    }

    /// Forth, then a few records back.
    private func follow(_ tailer: inout Tailer, upTo records: Int) {
        var last: (sequence: UInt64, position: UInt64)?
        var (gaps, left) = (0, records)
        while gaps < 100, left > 0 {
            left -= 1
            do throws(LogError) {
                guard let record = try tailer.next() else { break }
                let (sequence, position) = (record.sequence, record.position.rawValue)
                if let last { precondition(sequence > last.sequence && position > last.position, "out of order") }
                last = (sequence, position)
                touch(record.payload)
            } catch  where error.code == .recordsGone {
                gaps += 1
            } catch {
                break
            }
        }
        precondition(gaps < 100, "gaps without an end")
        for _ in 0..<3 {
            guard let record = try? tailer.previous() else { break }
            touch(record.payload)
        }
    }

    /// Reads where the payload begins and ends.
    private func touch(_ payload: RawSpan) {
        let ends = unsafe payload.withUnsafeBytes { bytes in unsafe Int(bytes.first ?? 0) + Int(bytes.last ?? 0) }
        precondition(ends <= 510)
    }

    // MARK: Writing

    private func write() {
        guard let log = try? Log.open(at: log, opening: OpenOptions(durability: .never)) else { return }
        do throws(LogError) {
            let appended = try log.append([1, 2, 3])
            var tailer = try log.tailer(from: .position(appended.position))
            let record = try tailer.next()
            precondition(record?.payload.byteCount == 3, "the record that was appended isn't there")
            precondition(record?.sequence == appended.sequence, "another record is in its place")
        } catch {
            precondition(error.code == .outOfRange, "a log that was opened can't be appended to: \(error)")
        }
        if var tailer = try? log.tailer(named: "audit") {
            _ = try? tailer.next()
            try? tailer.commit()
        }
        _ = try? Compactor.compact(at: self.log)
        _ = try? log.retain(Retention(segments: 1))
        try? log.close()
    }
}
