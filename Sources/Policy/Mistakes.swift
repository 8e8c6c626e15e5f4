/// Collects the mistakes of one file, so that all are reported at once.
package struct Mistakes: Sendable {
    /// The file's name as the user gave it.
    package let file: String
    private var found: [Mistake] = []

    package init(file: String) {
        self.file = file
    }

    /// How many there are so far.
    package var count: Int { found.count }

    /// Whether nothing is wrong so far.
    package var isEmpty: Bool { found.isEmpty }

    /// All mistakes in the order of the file.
    package var sorted: [Mistake] {
        let order = found.enumerated().sorted { left, right in
            (left.element.line, left.element.column ?? 0, left.offset)
                < (right.element.line, right.element.column ?? 0, right.offset)
        }
        return order.map(\.element)
    }

    /// Records a mistake at a node of the file.
    package mutating func add(_ node: YAMLNode, _ message: String, remedy: String? = nil) {
        add(line: node.line, column: node.column, text: node.text, message, remedy: remedy)
    }

    /// Records a mistake at a place in the file.
    package mutating func add(
        line: Int, column: Int? = nil, text: String, _ message: String, remedy: String? = nil
    ) {
        found.append(
            Mistake(file: file, line: line, column: column, text: text, message: message, remedy: remedy))
    }

    /// Ends the reading of a file: throws if a mistake was recorded.
    ///
    /// - Throws: all mistakes at once.
    package func throwIfAny() throws(DataErrors) {
        if !found.isEmpty { throw DataErrors(sorted) }
    }
}
