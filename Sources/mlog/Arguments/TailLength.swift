/// How much of a log `tail` prints, as tail(1) takes it.
enum TailLength: ExplainedArgument, Equatable {
    /// The last so many records.
    case last(UInt64)
    /// Everything from this record of the log on, the first being 1.
    case fromRecord(UInt64)

    static let expectation = "a number of records, or +N for all from the Nth on"

    init?(argument: String) {
        let digits = argument.first == "+" || argument.first == "-" ? argument.dropFirst() : argument[...]
        guard digits.first?.isNumber == true, let number = UInt64(digits) else { return nil }
        self = argument.first == "+" ? .fromRecord(number) : .last(number)
    }
}
