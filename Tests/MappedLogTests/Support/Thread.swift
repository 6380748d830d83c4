import Dispatch
import Foundation

/// A thread that a test waits for.
final class Thread: Sendable {
    private let isDone = DispatchSemaphore(value: 0)

    /// Runs the body on a thread of its own.
    static func run(_ body: @escaping @Sendable () -> Void) -> Thread {
        let thread = Thread()
        Foundation.Thread.detachNewThread {
            body()
            thread.isDone.signal()
        }
        return thread
    }

    /// Waits until the body has returned.
    ///
    /// Once only.
    func join() {
        isDone.wait()
    }
}
