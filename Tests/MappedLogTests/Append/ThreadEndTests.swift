import Dispatch
import Glibc
import MappedLogTestSupport
import Testing

@testable import MappedLog

/// Appends that a thread makes while it ends.
@Suite(.timeLimit(.minutes(10))) struct ThreadEndTests {
    /// What a thread does when its other destructors have run.
    private final class LastAct {
        let body: () -> Void

        init(_ body: @escaping () -> Void) { self.body = body }
    }

    @Test func `a thread's last destructor appends beside a new thread that is in the midst of an append`() throws {
        try withTemporaryLogs(on: .file) { directory in
            let log = try Log.create(at: directory.appending("log"))
            let other = try Log.create(at: directory.appending("other"))
            // A key that is made behind the library's is destroyed behind it.
            try log.append([1])
            var made = pthread_key_t()
            unsafe pthread_key_create(&made) { act in
                unsafe Unmanaged<LastAct>.fromOpaque(act!).takeRetainedValue().body()
            }
            let key = made
            let finished = DispatchSemaphore(value: 0)
            Thread.run {
                #expect(code { try log.append([2]) } == nil)
                let act = LastAct {
                    let (isInside, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
                    let second = Thread.run {
                        #expect(
                            code {
                                try other.append(reserving: 1) { output in
                                    isInside.signal()
                                    mayEnd.wait()
                                    output.append(7)
                                }
                            } == nil
                        )
                    }
                    isInside.wait()
                    #expect(code { try log.append([3]) } == nil)
                    mayEnd.signal()
                    second.join()
                    #expect(code { try other.append([8]) } == nil)
                    finished.signal()
                }
                _ = unsafe pthread_setspecific(key, Unmanaged.passRetained(act).toOpaque())
            }.join()
            finished.wait()
            #expect(Sight.of(log).records.map(\.payload) == [[1], [2], [3]])
            #expect(Sight.of(other).records.map(\.payload) == [[7], [8]])
            pthread_key_delete(key)
            try log.close()
            try other.close()
        }
    }
}
