import SystemPackage

/// A report as a person reads it: facts with their names, tables, sentences.
struct TextReport {
    private let terminal: Terminal
    private var text = ""

    init() {
        terminal = Terminal(.standardOutput)
    }

    mutating func add(line: String, _ style: Terminal.Style? = nil) {
        text += style.map { terminal.styled(line, $0) } ?? line
        text += "\n"
    }

    /// Adds what there is to know, one fact a line, the names in a column of their own.
    mutating func add(facts: [(name: String, value: String)]) {
        let width = facts.reduce(0) { max($0, $1.name.count) }
        for fact in facts {
            let padding = String(repeating: " ", count: width - fact.name.count + 2)
            text += terminal.styled(fact.name, .heading) + padding + fact.value + "\n"
        }
    }

    /// Adds a table, each column as wide as its widest field.
    ///
    /// - Parameters:
    ///   - heading: The names of the columns. One that begins with a space is of numbers, aligned to the right.
    ///   - rows: The fields of each row, as many as there are columns.
    mutating func add(table heading: [String], rows: [[String]]) {
        let isNumeric = heading.map { $0.hasPrefix(" ") }
        let names = heading.map { String($0.drop { $0 == " " }) }
        let widths = names.indices.map { column in rows.reduce(names[column].count) { max($0, $1[column].count) } }
        func line(_ fields: [String]) -> String {
            let padded = fields.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - fields[column].count)
                return isNumeric[column] ? padding + fields[column] : fields[column] + padding
            }
            let whole = padded.joined(separator: "  ")
            return String(whole.reversed().drop { $0 == " " }.reversed())
        }
        add(line: line(names), .heading)
        for row in rows { add(line: line(row)) }
    }

    func print() throws {
        var output = BufferedOutput(to: .standardOutput)
        output.write(text)
        try output.flush()
    }
}
