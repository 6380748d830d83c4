import _CTestSupport

/// What this build was made with besides (`tools/test --sanitize thread|address`).
public enum Sanitizer {
    /// Nil: no sanitizer.
    public static let name: String? = unsafe test_sanitizer().map { unsafe String(cString: $0) }

    /// Why a process can't be traced step by step here, or nil.
    static var tracingObstacle: String? {
        name.map { "a build with \($0) stores and calls on its own account at every step" }
    }

    /// Why a process can't be held to little address space here, or nil.
    public static var memoryObstacle: String? {
        name.map { "a build with \($0) maps terabytes of address space" }
    }
}
