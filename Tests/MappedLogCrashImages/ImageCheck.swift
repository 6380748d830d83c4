import Glibc
import MappedLog
import SystemPackage
import _CMappedLog

/// Recovers a disk, and compares what comes out with what was promised.
struct ImageCheck {
    /// The directory that holds the log; its content is replaced.
    let root: FilePath
    var log: FilePath { root.appending(Self.logName) }
    static let logName = "log"
    /// Relative to the root.
    static let control = "log/live/control"

    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// What a recovery came to.
    struct Recovered {
        let records: [Promise.Record]
        let first: UInt64
        let tailers: [String: UInt64]
        /// Right after the open; nil: it wasn't asked for.
        let disk: DiskImage?
    }

    /// - Returns: Nil: there was no log yet, and there need not be one.
    func recover(_ image: DiskImage, _ promise: Promise, again: Bool) throws -> Recovered? {
        try Self.afterBoot(image).write(to: root)
        let seen: [Promise.Record]
        do throws(LogError) {
            seen = try Self.records(of: Log.openReadOnly(at: log))
        } catch {
            if promise.isCreated || !(error.code == .notFound || error.code == .notALog) {
                throw Broken(description: "open read-only: \(error)")
            }
            return try createAnew()
        }
        let recovered = try open(promise, seen, of: image, keepDisk: again)
        if again, let disk = recovered.disk { try recoverAgain(disk, recovered) }
        return recovered
    }

    private func open(_ promise: Promise, _ seen: [Promise.Record], of image: DiskImage, keepDisk: Bool) throws
        -> Recovered
    {
        let log: Log
        do throws(LogError) { log = try Log.open(at: self.log, opening: .quiet) } catch {
            throw Broken(description: "open: \(error)")
        }
        try checkKept(log.recovery, of: image)
        let records = try Self.records(of: log)
        guard records == seen else {
            throw Broken(description: "read-only \(Self.text(seen)), recovered \(Self.text(records))")
        }
        let next = try log.nextSequence
        let disk = keepDisk ? try DiskImage(of: root) : nil
        let first = records.first?.sequence ?? next
        try Self.check(records, next, promise)
        guard try log.durablePosition == log.endPosition else {
            throw Broken(description: "durable up to \(try log.durablePosition), ends at \(try log.endPosition)")
        }
        try Self.checkSeeks(log, records)
        let tailers = try checkTailers(log, promise, first: first, next: next)
        do throws(LogError) { try log.close() } catch { throw Broken(description: "close: \(error)") }
        return Recovered(records: records, first: first, tailers: tailers, disk: disk)
    }

    /// What was cut off is in `lost+found`.
    private func checkKept(_ report: RecoveryReport?, of image: DiskImage) throws {
        guard let report, let cut = report.cutPosition else { return }
        let size = LogOptions.forCrashes.segmentSize
        let name = String(cut / size * size, radix: 16)
        let path = Self.logName + "/" + String(repeating: "0", count: 16 - name.count) + name + ".mlog"
        let bytes = image.files[path, default: []].dropFirst(Int(cut % size)).prefix(Int(report.cutBytes))
        let isKept = try report.kept.contains { kept in
            let file = try openFile(kept, O_RDONLY)
            return try file.closeAfter { areEqual(try read(file), Array(bytes)) }
        }
        guard isKept, !bytes.isEmpty else {
            throw Broken(description: "\(report.cutBytes) bytes cut off at \(cut) are kept nowhere")
        }
    }

    /// Where a creation was cut short the next one must come through.
    private func createAnew() throws -> Recovered? {
        do throws(LogError) {
            let log = try Log.openOrCreate(at: log, options: .forCrashes, opening: .quiet)
            try log.append([1, 2, 3])
            try log.close()
        } catch {
            throw Broken(description: "create over an unfinished creation: \(error)")
        }
        return nil
    }

    /// A second recovery must change nothing, `live/` apart.
    private func recoverAgain(_ disk: DiskImage, _ before: Recovered) throws {
        try Self.afterBoot(disk).write(to: root)
        let report: RecoveryReport?
        let after: DiskImage
        do {
            let log = try Log.open(at: log, opening: .quiet)
            report = log.recovery
            let records = try Self.records(of: log)
            guard records == before.records else { throw Broken(description: "it reads \(Self.text(records))") }
            after = try DiskImage(of: root)
            try log.close()
        } catch {
            throw Broken(description: "recover again: \(error)")
        }
        guard let report, !report.cleanClose, report.cutPosition == nil, report.kept.isEmpty,
            report.rewrittenSeals == 0, report.rebuiltIndexEntries == 0, report.movedTailers.isEmpty
        else { throw Broken(description: "the second recovery had to mend: \(report as Any)") }
        let live = Self.logName + "/live/"
        for (path, bytes) in disk.files where !path.hasPrefix(live) {
            guard let other = after.files[path], areEqual(other, bytes) else {
                throw Broken(description: "the second recovery changed \(path)")
            }
        }
        for (path, bytes) in after.files where disk.files[path] == nil && !path.hasPrefix(live) {
            // Only a segment that was prepared meanwhile may have come.
            guard path.hasSuffix(".mlog"), bytes[512...].allSatisfy({ $0 == 0 }) else {
                throw Broken(description: "the second recovery made \(path)")
            }
        }
    }

    /// After a power cut the machine boots again: what `live/control` says of its boot must count for nothing.
    private static func afterBoot(_ image: DiskImage) -> DiskImage {
        var image = image
        let offset = MemoryLayout<mlog_control>.offset(of: \.boot_id)!
        if var bytes = image.files[control], bytes.count >= offset + 16 {
            for index in offset..<offset + 16 { bytes[index] ^= 0x5A }
            image.files[control] = bytes
        }
        return image
    }

    // MARK: What is there

    static func records(of log: Log) throws(LogError) -> [Promise.Record] {
        var records: [Promise.Record] = []
        var tailer = try log.tailer()
        while let record = try tailer.next() {
            records.append(
                .init(
                    sequence: record.sequence,
                    position: record.position.rawValue,
                    timestamp: record.timestamp.nanosecondsSince1970,
                    payload: unsafe record.payload.withUnsafeBytes { unsafe Array($0) },
                    group: 0
                )
            )
        }
        return records
    }

    private static func check(_ records: [Promise.Record], _ next: UInt64, _ promise: Promise) throws {
        let first = records.first?.sequence ?? next
        guard promise.first.contains(first) else {
            throw Broken(description: "begins with \(first), should with \(promise.first)")
        }
        guard next >= promise.acknowledged else {
            throw Broken(description: "\(next) records are there, \(promise.acknowledged) were acknowledged")
        }
        guard UInt64(records.count) == next - first else {
            throw Broken(description: "reads \(text(records)), the next sequence is \(next)")
        }
        let offset = promise.records.first?.sequence ?? 0
        guard next <= offset + UInt64(promise.records.count) else {
            throw Broken(description: "\(next) records are there, \(promise.records.count) were appended")
        }
        for (index, record) in records.enumerated() {
            let expected = promise.records[Int(first - offset) + index]
            let isSame = record.sequence == expected.sequence && record.position == expected.position
            guard isSame, record.timestamp == expected.timestamp, areEqual(record.payload, expected.payload) else {
                throw Broken(description: "\(text([record])), expected \(text([expected]))")
            }
        }
        if next < offset + UInt64(promise.records.count) {
            let absent = promise.records[Int(next - offset)]
            guard absent.group == absent.sequence else {
                throw Broken(description: "ends at \(next), inside the batch that begins with \(absent.group)")
            }
        }
    }

    private static func checkSeeks(_ log: Log, _ records: [Promise.Record]) throws {
        guard !records.isEmpty else { return }
        let middle = records[records.count / 2]
        let time = Timestamp(nanosecondsSince1970: middle.timestamp)
        let byTime = records.first { $0.timestamp >= middle.timestamp }
        for (start, expected) in [(TailStart.sequence(middle.sequence), middle), (.time(time), byTime!)] {
            var tailer = try log.tailer(from: start)
            let found = try tailer.next()?.sequence
            guard found == expected.sequence else {
                throw Broken(description: "\(start) leads to \(found as Any), not to \(expected.sequence)")
            }
        }
    }

    private func checkTailers(
        _ log: Log,
        _ promise: Promise,
        first: UInt64,
        next: UInt64
    ) throws -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for (name, expected) in promise.tailers.sorted(by: { $0.key < $1.key }) {
            do {
                guard unsafe access(self.log.appending("tailers/" + name).string, F_OK) == 0 else {
                    if expected.mustExist { throw Broken(description: "it isn't there") }
                    continue
                }
                var tailer = try log.tailer(named: name)
                let sequence = tailer.tailer.sequence
                // An open that finds no place begins with the first record.
                let allowed = Set(expected.sequences.map { min($0, next) } + (expected.mustExist ? [] : [first]))
                guard allowed.contains(sequence) else {
                    throw Broken(description: "it stands at \(sequence), should at one of \(allowed.sorted())")
                }
                // Else the open itself may have made it.
                if expected.mustExist { found[name] = sequence }
                guard sequence >= first else { continue }
                let record = try tailer.next()?.sequence ?? next
                guard record == sequence else { throw Broken(description: "it reads \(record)") }
            } catch let error as LogError where !expected.mustExist && error.code == .damaged {
                // Its first commit was torn.
                try log.removeNamedTailer(name)
            } catch {
                throw Broken(description: "tailer \(name): \(error)")
            }
        }
        return found
    }

    private static func text(_ records: [Promise.Record]) -> String {
        guard let first = records.first, let last = records.last else { return "no record" }
        return "\(first.sequence) at \(first.position) with \(first.payload.count) bytes to \(last.sequence)"
    }
}

extension OpenOptions {
    /// Nothing is flushed unasked.
    static var quiet: OpenOptions { OpenOptions(durability: .never) }
}

extension LogOptions {
    static var forCrashes: LogOptions { LogOptions(segmentSize: 64 << 10, durability: .never) }
}
