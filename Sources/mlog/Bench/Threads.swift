import Glibc
import Synchronization

/// Threads that all do the same.
enum Threads {
    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Runs `body` on as many threads as that, and waits for them all.
    ///
    /// More than the system's pools would give: most of them wait for the disk.
    static func run(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
        let shared = SharedFailure()
        var ids: [pthread_t] = []
        for number in 0..<count {
            let start = Start {
                do { try body(number) } catch { shared.keep(error) }
            }
            var id = pthread_t()
            let status = unsafe pthread_create(
                &id,
                nil,
                { argument in
                    guard let argument = unsafe argument else { return nil }
                    unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                },
                Unmanaged.passRetained(start).toOpaque()
            )
            guard status == 0 else { throw CommandFailure("pthread_create(3) failed with \(status)") }
            ids.append(id)
        }
        for id in ids { pthread_join(id, nil) }
        try shared.check()
    }
}

/// The first failure of several threads.
private final class SharedFailure: Sendable {
    private let first = Mutex<(any Error)?>(nil)

    func keep(_ error: any Error) {
        first.withLock { $0 = $0 ?? error }
    }

    func check() throws {
        if let error = first.withLock({ $0 }) { throw error }
    }
}
