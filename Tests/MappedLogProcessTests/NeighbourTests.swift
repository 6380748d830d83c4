import MappedLogTestSupport
import Testing

extension ProcessTests {
    /// Other users, and what strangers made; `tools/torture neighbours` goes on for longer.
    @Suite struct HostileNeighbours {
        @Test(.enabled(if: Neighbours.obstacle == nil, Comment(rawValue: Neighbours.obstacle ?? "")))
        func `who may only read can change nothing, and its locks and wakes stop nobody`() throws {
            let user = try Neighbours.readOnlyUser(until: .now + .seconds(3))
            #expect(user.tries > 50)
            #expect(user.locks > 0)
        }

        @Test(.enabled(if: Neighbours.obstacle == nil, Comment(rawValue: Neighbours.obstacle ?? "")))
        func `who may not be woken sees every record`() throws {
            #expect(try Neighbours.pollingUser(records: 500) == 500)
        }

        @Test func `symbolic links in the place of a log's files are not followed`() throws {
            #expect(try Neighbours.symbolicLinks() >= 9)
        }

        @Test(.enabled(if: Neighbours.obstacle == nil, Comment(rawValue: Neighbours.obstacle ?? "")))
        func `a log is not made in another user's directories, and one that is there goes on`() throws {
            try Neighbours.squatted()
        }

        @Test(.enabled(if: Sanitizer.memoryObstacle == nil, Comment(rawValue: Sanitizer.memoryObstacle ?? "")))
        func `a stranger's log is read in little memory and little time, or refused`() throws {
            var random = SeededGenerator("strangers' logs")
            let counts = try Neighbours.strangersLogs(30, using: &random)
            print("strangers' logs: \(counts)")
            #expect(counts.read + counts.refused == 30)
            #expect(counts.read > 0)
            #expect(counts.refused > 0)
        }
    }
}
