import Glibc
import SystemPackage

/// What is known of the place a stream leads to, should a person sit there.
struct Terminal {
    /// What a piece of text means to who reads it.
    enum Style: String {
        case heading = "1"
        case good = "32"
        case bad = "1;31"
    }

    let isTerminal: Bool
    private let descriptor: FileDescriptor
    private let hasColours: Bool

    init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor.rawValue) == 1
        // https://no-color.org: any value but the empty one counts.
        hasColours = isTerminal && Self.environment("NO_COLOR").isEmpty && Self.environment("TERM") != "dumb"
    }

    /// The number of characters a line can have.
    var width: Int {
        var size = winsize()
        let known = unsafe ioctl(descriptor.rawValue, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return known ? Int(size.ws_col) : 80
    }

    /// The text with colour, if colour is welcome.
    func styled(_ text: String, _ style: Style) -> String {
        hasColours ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    private static func environment(_ name: String) -> String {
        guard let value = unsafe getenv(name) else { return "" }
        return unsafe String(cString: value)
    }
}
