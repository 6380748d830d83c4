import MappedLog

let log = try Log.openOrCreate(at: "/tmp/orders.log")

// Append: visible to every tailer of every process when the call returns.
let appended = try log.append("order 4711: 3 apples".utf8)
print("record \(appended.sequence) at position \(appended.position)")

// Durable: on the disk when the call returns.
try log.sync()

// Tail: from the first record on, zero-copy, here or in any other process.
var tailer = try log.tailer(from: .first)
while let record = try tailer.next() {
    print(record.sequence, record.timestamp.nanosecondsSince1970, record.payload.byteCount)
}
