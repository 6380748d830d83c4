import Glibc
import MappedLog
import SystemPackage

extension RawSpan {
    /// A copy of the bytes.
    var copied: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}

/// A record as a test compares it.
struct SeenRecord: Equatable, Sendable, CustomStringConvertible {
    var sequence: UInt64
    var position: UInt64
    var timestamp: Int64
    var payload: [UInt8]

    init(sequence: UInt64, position: UInt64, timestamp: Int64, payload: [UInt8]) {
        self.sequence = sequence
        self.position = position
        self.timestamp = timestamp
        self.payload = payload
    }

    init(_ record: borrowing Record) {
        sequence = record.sequence
        position = record.position.rawValue
        timestamp = record.timestamp.nanosecondsSince1970
        payload = record.payload.copied
    }

    init(_ record: RetainedRecord) {
        sequence = record.sequence
        position = record.position.rawValue
        timestamp = record.timestamp.nanosecondsSince1970
        payload = record.bytes.copied
    }

    /// By memcmp(3): tests compare megabytes, and an unoptimised array compares byte by byte.
    static func == (left: SeenRecord, right: SeenRecord) -> Bool {
        let places = [left, right].map {
            [$0.sequence, $0.position, UInt64(bitPattern: $0.timestamp), UInt64($0.payload.count)]
        }
        guard places[0] == places[1] else { return false }
        return unsafe memcmp(left.payload, right.payload, left.payload.count) == 0
    }

    var description: String { "#\(sequence) at \(position), \(payload.count) bytes" }
}

/// What a tailer found on its way through a log: records, gaps it was told of, and the error that stopped it.
struct Sight: Sendable {
    struct Gone: Hashable, Sendable {
        var position: UInt64?
        var sequences: Range<UInt64>?
    }

    var records: [SeenRecord] = []
    var gone: [Gone] = []
    var error: LogError?
    var position: UInt64?
    var sequence: UInt64?

    /// Reads all there is, from the first record on.
    static func of(
        _ log: Log,
        from start: TailStart = .first,
        visibility: Visibility = .committed
    ) -> Sight {
        var sight = Sight()
        do throws(LogError) {
            var tailer = try log.tailer(from: start, visibility: visibility)
            sight.read(&tailer)
        } catch {
            sight.error = error
        }
        return sight
    }

    /// Opens a log read-only and reads all there is.
    static func of(_ path: FilePath) -> Sight {
        do throws(LogError) { return of(try Log.openReadOnly(at: path)) } catch {
            var sight = Sight()
            sight.error = error
            return sight
        }
    }

    private mutating func read(_ tailer: inout Tailer) {
        while true {
            do throws(LogError) {
                guard let record = try tailer.next() else { break }
                records.append(SeenRecord(record))
            } catch  where error.code == .recordsGone {
                gone.append(Gone(position: error.position?.rawValue, sequences: error.goneSequences))
            } catch {
                self.error = error
                break
            }
        }
        position = tailer.position.rawValue
        sequence = tailer.sequence
    }
}

extension Tailer {
    /// A copy of the next record.
    mutating func nextSeen() throws(LogError) -> SeenRecord? {
        guard let record = try next() else { return nil }
        return SeenRecord(record)
    }

    /// A copy of the record before.
    mutating func previousSeen() throws(LogError) -> SeenRecord? {
        guard let record = try previous() else { return nil }
        return SeenRecord(record)
    }
}

/// The code of the `LogError` that the body throws; nil: it throws none.
func code(_ body: () throws -> Void) -> LogError.Code? {
    failure(body)?.code
}

/// The `LogError` that the body throws; nil: it throws none.
func failure(_ body: () throws -> Void) -> LogError? {
    do { try body() } catch { return error as? LogError }
    return nil
}
