import ArgumentParser

/// A value of an argument that says what is valid where something else was given.
protocol ExplainedArgument {
    /// What is valid, as it follows "give".
    static var expectation: String { get }

    init?(argument: String)
}

extension ExplainedArgument {
    /// Reads the value, or tells what it could be.
    static func parse(_ argument: String) throws -> Self {
        guard let value = Self(argument: argument) else { throw ValidationError("give \(expectation)") }
        return value
    }
}
