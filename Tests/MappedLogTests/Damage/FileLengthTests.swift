import MappedLog
import SystemPackage
import Testing

/// Files that are shorter or longer than they must be.
@Suite(.timeLimit(.minutes(10))) struct FileLengthTests {
    @Test func `a segment of any other length is refused by its name`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let log = try DamagedLog(at: directory.appending("log"))
            let path = directory.appending("copy")
            try log.crashed.write(to: path)
            for name in log.segments.dropLast() {
                let whole = log.crashed.files[name]!
                let used = Array(0..<1100) + Array(4090..<4300) + Array(stride(from: 4300, to: whole.count, by: 97))
                for length in used + [whole.count - 1, whole.count + 1, whole.count + 4096, whole.count * 2] {
                    let bytes =
                        length <= whole.count ? Array(whole.prefix(length)) : whole + whole.prefix(length - whole.count)
                    try writeFile(path.appending(name), bytes)
                    let sight = Sight.of(path)
                    #expect(sight.error?.code == (length < whole.count ? .truncatedSegment : .damaged), "\(length)")
                    #expect(sight.error?.file?.lastComponent?.string == name)
                    #expect(log.isPrefix(sight.records))
                    if length % 16 == 0 {
                        let error = failure { _ = try Log.open(at: path) }
                        #expect(error?.file?.lastComponent?.string == name)
                    }
                }
                try writeFile(path.appending(name), whole)
            }
            #expect(Sight.of(path).records == log.records)
        }
    }

    @Test func `options that are cut off or have something behind them are reported as damage`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try DamagedLog(at: path)
            let file = path.appending("options.json")
            let whole = log.closed.files["options.json"]!
            // The last byte is a line's end, which JSON can do without.
            for length in 0..<whole.count - 1 {
                try writeFile(file, Array(whole.prefix(length)))
                let error = try #require(Sight.of(path).error)
                #expect(error.code == .damaged && error.file == file, "\(length)")
                #expect(code { _ = try Log.open(at: path) } == .damaged)
            }
            try writeFile(file, whole + Array("}".utf8))
            #expect(Sight.of(path).error?.code == .damaged)
            try writeFile(file, whole + Array(" \n".utf8))
            #expect(Sight.of(path).records == log.records)
        }
    }

    @Test func `the running system's files may have any length`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try DamagedLog(at: path)
            for name in ["live/control", "live/waiters", "live/lock"] {
                let whole = log.closed.files[name]!
                for length in [0, 1, 15, whole.count / 2, max(0, whole.count - 1), whole.count + 1] {
                    try log.closed.write(to: path)
                    try writeFile(path.appending(name), Array((whole + [0]).prefix(length)))
                    #expect(Sight.of(path).records == log.records, "\(name) \(length)")
                    let writer = try Log.open(at: path)
                    #expect(Sight.of(writer).records == log.records, "\(name) \(length)")
                    try writer.append(Array("more".utf8))
                }
            }
        }
    }

    @Test func `a named tailer's file of another length is damaged, and the log is not`() throws {
        try withTemporaryDirectory(inMemory: true) { directory in
            let path = directory.appending("log")
            let log = try DamagedLog(at: path)
            let file = path.appending("tailers").appending(DamagedLog.tailerName)
            let whole = try readFile(file)
            let writer = try Log.open(at: path)
            for length in [1, 63, 64, 511, 512, 1023, 1025, 4096] {
                try writeFile(file, Array((whole + whole + whole + whole + whole).prefix(length)))
                let error = failure { _ = try writer.tailer(named: DamagedLog.tailerName) }
                #expect(error?.code == .damaged && error?.file == file, "\(length)")
                #expect(Sight.of(writer).records == log.records)
            }
        }
    }
}
