import MappedLog

/// Records to append, made before anything is timed.
struct Payloads {
    private let pool: [UInt8]
    private let size: Int
    private let mask: Int

    /// - Parameters:
    ///   - pool: A power of two of bytes, and a record's more.
    ///   - size: A record's.
    private init(_ pool: [UInt8], size: Int) {
        self.pool = pool
        self.size = size
        mask = pool.count - size - 1
    }

    /// Bytes that don't compress, from a pool that stays in the cache: no work but the log's is to be seen.
    static func random(size: Int) -> Payloads {
        var pool: [UInt8] = []
        // Eight bytes of a system call each.
        for _ in 0..<((64 << 10) + size + 7) / 8 {
            unsafe withUnsafeBytes(of: UInt64.random(in: .min ... .max)) { unsafe pool.append(contentsOf: $0) }
        }
        pool.removeLast(pool.count - (64 << 10) - size)
        return Payloads(pool, size: size)
    }

    /// Pieces of lines as a web service logs them.
    ///
    /// The pool is as long as the largest block, so that no block holds the same piece twice.
    static func text(size: Int) -> Payloads {
        var pool: [UInt8] = []
        let length = (4 << 20) + size
        pool.reserveCapacity(length + 512)
        let levels = ["info", "info", "info", "debug", "warn", "error"]
        let paths = ["/api/v1/users", "/api/v1/orders", "/healthz", "/static/app.js", "/api/v1/cart/items"]
        var time: UInt64 = 1_767_225_600_000
        var generator = SystemRandomNumberGenerator()
        while pool.count < length {
            time += .random(in: 0..<50, using: &generator)
            let level = levels.randomElement(using: &generator) ?? "info"
            let path = paths.randomElement(using: &generator) ?? "/"
            let status = Int.random(in: 0..<20, using: &generator) == 0 ? 500 : 200
            let micros = Int.random(in: 0..<20_000, using: &generator)
            let id = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            let line =
                #"{"ts":\#(time),"level":"\#(level)","path":"\#(path)","status":\#(status),"latency_us":\#(micros),"#
                + #""request_id":"\#(id)","msg":"request completed"}"# + "\n"
            pool += Array(line.utf8)
        }
        pool.removeLast(pool.count - length)
        return Payloads(pool, size: size)
    }

    /// Appends a record.
    @inline(__always)
    func append(_ index: Int, to log: Log) throws(LogError) {
        // At most a record's size less than the pool has; a check would be a fortieth of an append's instructions.
        let start = (index &* size) & mask
        unsafe try log.append(pool.span.bytes.extracting(unchecked: start..<start &+ size))
    }

    /// Appends records one by one.
    ///
    /// A function of its own: among a benchmark's other variables the loop takes half as many instructions again.
    @inline(never)
    func append(_ indices: Range<Int>, to log: Log) throws(LogError) {
        for index in indices { try append(index, to: log) }
    }

    /// So many records, to be appended as a batch.
    func batch(_ count: Int) -> [ArraySlice<UInt8>] {
        (0..<count).map { index in
            let start = (index &* size) & mask
            return pool[start..<start + size]
        }
    }
}
