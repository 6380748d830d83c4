import Glibc
import MappedLog
import SystemPackage
import _CDiskCalls
import _CMappedLog

/// What goes wrong in a process, or ends it, before the power is cut.
extension RecordedRun {
    private static let segmentSize = LogOptions.forCrashes.segmentSize

    mutating func mishap() throws {
        switch Int.random(in: 0..<9, using: &chance) {
        case 0...1: try dieInAppend(of: [Int.random(in: 0...1500, using: &chance)])
        case 2...4: try dieInBatch()
        case 5: try dieInFlush()
        case 6: try failFlush()
        case 7: try takeBack()
        default: return try reopen()
        }
        switch Int.random(in: 0..<5, using: &chance) {
        case 0...1: try sync()
        case 2: try append(Int.random(in: 0...700, using: &chance))
        case 3: try reopen()
        default: break
        }
    }

    // MARK: Deaths

    /// A batch whose frames end with sectors; and another of the same sizes: what the disk has of the first would fit.
    private mutating func dieInBatch() throws {
        let sector = UInt64(DiskHistory.sectorBytes)
        func sizes(from end: UInt64) -> [Int] {
            let first = sector - end % sector + (sector - end % sector < 32 ? sector : 0)
            let others = (0..<Int.random(in: 1...3, using: &chance)).map { _ in
                sector * UInt64.random(in: 1...2, using: &chance)
            }
            return ([first] + others).map { Int($0) - 24 }
        }
        let end = try log.endPosition.rawValue
        let chosen = sizes(from: end)
        guard try dieInAppend(of: chosen), try log.endPosition.rawValue == end, chance.oneIn(3) == false else { return }
        try appendBatch(chosen.map(payload), in: .mishap)
    }

    /// A thread dies with the append lock, at some step of an append or of a batch (`spec/protocol.md`, "Append").
    ///
    /// The append is made, and taken back up to that step, before anybody looks at it.
    ///
    /// - Returns: False where there was no room.
    @discardableResult private mutating func dieInAppend(of byteCounts: [Int]) throws -> Bool {
        let before = try log.endPosition.rawValue
        let size = byteCounts.reduce(0) { $0 + 24 + ($1 + 7) / 8 * 8 }
        guard before % Self.segmentSize + UInt64(size) + 4096 + 24 < Self.segmentSize else { return false }
        let begun = begin(.mishap)
        let (payloads, time) = (byteCounts.map(payload), timestamp())
        let shared = try SharedFiles(of: place, at: before)
        // What another one left is repaired now: not between the copies that are taken, and the append.
        try refuse(8) {}
        let isBatch = byteCounts.count > 1
        // Of a batch, most of the time among its words: what the disk has of them is the danger.
        let step =
            isBatch && Bool.random(using: &chance)
            ? .someWords : AppendStep.allCases.filter { isBatch || $0 != .someWords }.randomElement(using: &chance)!
        disk_pause()
        defer { disk_resume() }
        let control = shared.control.copy()
        let segment = shared.segment.copy()
        let first =
            try isBatch ? log.append(batch: payloads, timestamp: time).first : log.append(payloads[0], timestamp: time)
        var words: [Int] = []
        var offset = Int(before % Self.segmentSize)
        for byteCount in byteCounts {
            words.append(offset)
            offset += 24 + (byteCount + 7) / 8 * 8
        }
        let keptWords = isBatch ? Int.random(in: 1..<words.count, using: &chance) : 0
        try shared.dieWith(\.append_mutex) {
            if step != .done { shared.control.put(control, at: \.generation, byteCount: 8) }
            switch step {
            case .nextSlot: shared.segment.put(segment)
            case .noWord: for word in words { shared.segment.store(UInt64(0), at: word) }
            // The last one first.
            case .someWords: for word in words.dropLast(keptWords) { shared.segment.store(UInt64(0), at: word) }
            case .word, .done: break
            }
            let hasWords = isBatch && (step == .someWords || step == .word)
            shared.control.store(UInt32(hasWords ? 1 : 0), at: \.batch_words)
        }
        // Visible, and never acknowledged.
        if step == .word || step == .done { note(begun, payloads, time, first) }
        return true
    }

    /// The last step that was done.
    private enum AppendStep: CaseIterable {
        case nextSlot
        case noWord
        case someWords
        case word
        case done
    }

    /// A flush fails, and its thread dies with the flusher lock before it could say so (`spec/protocol.md`, "Sync").
    private mutating func dieInFlush() throws {
        begin(.mishap)
        let shared = try SharedFiles(of: place, at: try log.endPosition.rawValue)
        let segments = try contents(below: place.string).map(\.path).filter { $0.hasSuffix(".mlog") }
        let place = place
        try shared.dieWith(\.flush_mutex) {
            shared.control.store(UInt32(1), at: \.flushing)
            for segment in segments {
                guard let file = try? openFile(place.appending(segment).string, O_RDWR) else { continue }
                DiskRecorder.failNextFlush(true)
                _ = fdatasync(file.rawValue)
                try? file.close()
            }
        }
        recorder.look()
    }

    // MARK: Failures

    /// A flush fails, the log is poisoned, and whoever opens it next recovers.
    private mutating func failFlush() throws {
        begin(.mishap)
        DiskRecorder.failNextFlush(true)
        do throws(LogError) { try log.sync() } catch {
            guard error.code == .poisoned else { throw ImageCheck.Broken(description: "a flush failed: \(error)") }
        }
        let hasFailed = !DiskRecorder.isFlushToFail
        DiskRecorder.failNextFlush(false)
        // Else there was nothing to flush.
        if hasFailed { try die(in: .mishap) }
    }

    /// What was written in place goes, and a record takes its place that has zeros there.
    private mutating func takeBack() throws {
        begin(.mishap)
        let byteCount = Int.random(in: 1000...2500, using: &chance)
        let recorder = recorder
        try refuse(byteCount) { recorder.look() }
        recorder.look()
        try append([UInt8](repeating: 0, count: byteCount), in: .mishap)
    }

    /// Takes the append lock, fills so much in place, does something, and takes it back.
    private func refuse(_ byteCount: Int, _ body: () -> Void) throws {
        struct Refusal: Error {}
        let fill: (inout OutputRawSpan) throws -> Void = { output in
            for _ in 0..<byteCount { output.append(0xEE) }
            body()
            throw Refusal()
        }
        guard (try? log.append(reserving: byteCount, fill)) == nil else {
            throw ImageCheck.Broken(description: "no refusal")
        }
    }
}
