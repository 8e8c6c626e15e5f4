/// The text of a rule template, and the path that messages use for it.
package struct RuleTemplate: Equatable, Sendable {
    /// Where it was read from.
    package let path: String
    /// Mustache.
    package let text: String
    /// Whether it is inside the binary, where tests have checked it.
    let isBuiltIn: Bool

    /// An administrator's template.
    package init(path: String, text: String) {
        self.path = path
        self.text = text
        isBuiltIn = false
    }

    /// A template inside the binary.
    init(builtIn name: String, text: String) {
        path = Self.builtInPath(name)
        self.text = text
        isBuiltIn = true
    }

    /// The name that messages use for a template inside the binary.
    static func builtInPath(_ name: String) -> String { "\(name) (built in)" }

    /// The lines without their line ends; that of the last line may be missing.
    var lines: [Substring] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.last == "" ? lines.dropLast() : lines
    }
}

/// A line of a rule template.
package struct TemplatePlace: Hashable, Sendable, CustomStringConvertible {
    /// The template's path.
    package let path: String
    /// The line, counted from 1.
    package let line: Int

    /// A place.
    package init(path: String, line: Int) {
        self.path = path
        self.line = line
    }

    package var description: String { "\(path):\(line)" }
}
