import Foundation
import SystemPackage
import Testing

@testable import MappedLog

/// What a process leaves that dies, or finds the disk full, while it makes a named tailer.
@Suite struct UnfinishedTailerTests {
    @Test func `a named tailer without bytes is none, stops nobody, and can be made`() throws {
        try withTemporaryDirectory { directory in
            let path = directory.appending("log")
            let log = try Log.create(at: path, options: .small)
            try log.append([1])
            try writeFile(path.appending("tailers/begun"), [])
            #expect(try log.namedTailers().isEmpty)
            #expect(try Maintenance.verify(at: path).isWhole)
            _ = try log.retain(Retention(segments: 1))
            _ = try log.snapshot(to: directory.appending("copy"))
            try log.tailer(named: "begun").commit()
            #expect(try log.namedTailers().map(\.name) == ["begun"])
        }
    }

    @Test func `only those who may write the log may open a named tailer, and so lock it`() throws {
        try withTemporaryDirectory { directory in
            let options = LogOptions(permissions: [.ownerReadWrite, .groupReadWrite, .otherRead])
            let log = try Log.create(at: directory.appending("log"), options: options)
            try log.tailer(named: "owned").commit()
            let file = log.path.appending("tailers/owned").string
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(mode == 0o660)
        }
    }
}
