import ArgumentParser
import SystemPackage

/// Who may read and write, in the octal digits of chmod(1).
struct PermissionsArgument: ExpressibleByArgument {
    let permissions: FilePermissions

    init(_ permissions: FilePermissions) {
        self.permissions = permissions
    }

    init?(argument: String) {
        guard argument.allSatisfy({ ("0"..."7").contains($0) }), let bits = CInterop.Mode(argument, radix: 8),
            bits <= 0o777
        else { return nil }
        permissions = FilePermissions(rawValue: bits)
    }

    var defaultValueDescription: String {
        let digits = String(permissions.rawValue, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
