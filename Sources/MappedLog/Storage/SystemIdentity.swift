internal import Glibc
internal import SystemPackage
internal import _CMappedLog

/// What tells this boot, this pid namespace and this C library from others.
struct SystemIdentity: Sendable {
    let bootID: [UInt8]
    let pidNamespace: UInt64

    static func current() throws(LogError) -> SystemIdentity {
        let file = try OpenFile("/proc/sys/kernel/random/boot_id", O_RDONLY)
        let text = try file.read(64, at: 0)
        let digits = text.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 32 else {
            throw LogError(
                .io,
                file: file.path,
                expected: "a UUID",
                found: "\(text.count) bytes",
                advice: "mount /proc as usual"
            )
        }
        let namespace: FilePath = "/proc/self/ns/pid"
        let pidNamespace: UInt64
        do throws(Errno) {
            pidNamespace = UInt64(try SystemCall.status(namespace).st_ino)
        } catch {
            throw .system(error, "stat(2)", file: namespace)
        }
        let bytes = (0..<16).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
        return SystemIdentity(bootID: bytes, pidNamespace: pidNamespace)
    }
}
