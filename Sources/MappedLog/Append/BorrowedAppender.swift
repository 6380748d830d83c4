/// An appender that somebody else keeps alive.
///
/// To retain two objects and let them go again would be a fifth of an append's time.
@safe struct BorrowedAppender: Sendable {
    private let appender: Unmanaged<Appender>

    /// The caller keeps the appender alive for as long as this is used.
    init(_ appender: Appender) {
        unsafe self.appender = .passUnretained(appender)
    }

    @inline(__always)
    func use<Outcome>(_ body: (Appender) -> Outcome) -> Outcome {
        unsafe appender._withUnsafeGuaranteedRef { body($0) }
    }
}
