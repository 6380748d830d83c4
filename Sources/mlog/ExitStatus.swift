import ArgumentParser
import MappedLog
import SystemPackage

/// What the shell gets to know of how the command ended.
struct ExitStatus: Equatable {
    /// The command did what it was told.
    static let done = ExitStatus(code: 0)
    /// The log or the system said no.
    static let failed = ExitStatus(code: 1)
    /// The command line makes no sense.
    static let wrongUsage = ExitStatus(code: 2)

    let code: Int32

    private init(code: Int32) {
        self.code = code
    }

    /// Says on standard error what went wrong, in one line, and gives the status that stands for it.
    init(reporting error: any Error) {
        switch error {
        case is OutputClosed:
            self = .done
        case let error as Interrupted:
            error.report.map(Self.complain)
            // As a shell tells that a signal ended a command.
            self.init(code: 128 + error.signal)
        case is AlreadyReported:
            self = .failed
        case let error as CommandFailure:
            Self.complain(error.description)
            self = .failed
        case let error as LogError:
            Self.complain(error.description)
            self = .failed
        default:
            self.init(reportingArguments: error)
        }
    }

    /// Reports what ArgumentParser threw: wrong usage, or a request for help, which is no failure.
    private init(reportingArguments error: any Error) {
        guard Mlog.exitCode(for: error) != .success else {
            self = Self.printed(Mlog.fullMessage(for: error))
            return
        }
        guard Mlog.exitCode(for: error) == .validationFailure else {
            Self.complain(Mlog.message(for: error))
            self = .failed
            return
        }
        let help = Mlog.fullMessage(for: error).split(separator: "\n").last { $0.hasPrefix("  See '") }
        let command = help?.split(separator: "'").dropFirst().first ?? "mlog --help"
        Self.complain("\(Mlog.message(for: error)) (see '\(command)')")
        self = .wrongUsage
    }

    private static func printed(_ text: String) -> ExitStatus {
        var output = BufferedOutput(to: .standardOutput)
        output.write(text.hasSuffix("\n") ? text : text + "\n")
        do {
            try output.flush()
            return .done
        } catch {
            return ExitStatus(reporting: error)
        }
    }

    /// Writes one line, whatever control characters a path or an argument brought into it.
    static func complain(_ message: String) {
        let terminal = Terminal(.standardError)
        var errors = BufferedOutput(to: .standardError)
        errors.write("\(terminal.styled("mlog:", .bad)) \(message.inOneLine)\n")
        // With standard error closed there is nobody left to tell; the status still does.
        try? errors.flush()
    }
}

extension String {
    /// The same text with each run of line breaks as one space and other control characters as `?`.
    fileprivate var inOneLine: String {
        let line = split(whereSeparator: \.isNewline).joined(separator: " ")
        return String(String.UnicodeScalarView(line.unicodeScalars.map { $0.properties.isControl ? "?" : $0 }))
    }
}

extension Unicode.Scalar.Properties {
    fileprivate var isControl: Bool { generalCategory == .control }
}
