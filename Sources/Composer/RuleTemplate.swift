/// The text of a rule template, and the path that messages call it by.
package struct RuleTemplate: Equatable, Sendable {
    /// Where it was read from.
    package let path: String
    /// Mustache.
    package let text: String
    /// Whether it is inside the binary, where tests have found it right.
    let isBuiltIn: Bool

    /// An administrator's template.
    package init(path: String, text: String) {
        self.path = path
        self.text = text
        isBuiltIn = false
    }

    /// A template inside the binary.
    init(builtIn name: String, text: String) {
        path = "\(name) (built in)"
        self.text = text
        isBuiltIn = true
    }

    /// The lines without their ends; that of the last one may be missing.
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

/// What the templates rendered, line by line, and where each line comes from.
struct RenderedText {
    /// The lines, without the marks.
    let lines: [String]
    /// The place of each line.
    let places: [TemplatePlace]
    /// The whole text.
    var text: String { lines.joined(separator: "\n") }

    /// What sets a mark apart; no template may hold it, as a control character.
    private static let bound: Character = "\u{1}"

    /// A template's text with a mark ahead of every line that has more to it than tags.
    ///
    /// A line of tags alone has to stay one: Mustache takes it out together with its end.
    ///
    /// It bears the template's name, not its path: a folder's name may hold tags and line ends.
    static func marked(_ template: RuleTemplate, named name: String) -> String {
        var isInTag = false
        return template.lines.enumerated().map { index, line in
            let mark = hasText(line, &isInTag) ? "\(bound)\(index + 1)\(bound)\(name)\(bound)" : ""
            return "\(mark)\(line)\n"
        }.joined()
    }

    private static func hasText(_ line: Substring, _ isInTag: inout Bool) -> Bool {
        var rest = line
        // An empty line is no line of tags: it comes out.
        var hasText = !isInTag && line.allSatisfy(\.isWhitespace)
        while true {
            guard let next = rest.firstRange(of: isInTag ? "}}" : "{{") else {
                return hasText || (!isInTag && rest.contains { !$0.isWhitespace })
            }
            if !isInTag, rest[..<next.lowerBound].contains(where: { !$0.isWhitespace }) { hasText = true }
            isInTag.toggle()
            rest = rest[next.upperBound...]
        }
    }

    /// Takes the marks out of what was rendered; a line without one belongs to the line before it.
    init(marked text: String, from templates: [String: RuleTemplate], beginning: String) {
        var place = TemplatePlace(path: templates[beginning]?.path ?? beginning, line: 1)
        var lines: [String] = []
        var places: [TemplatePlace] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let parts = line.split(separator: Self.bound, maxSplits: 3, omittingEmptySubsequences: false)
            if parts.count == 4, parts[0].isEmpty, let number = Int(parts[1]),
                let template = templates[String(parts[2])]
            {
                place = TemplatePlace(path: template.path, line: number)
                lines.append(String(parts[3]))
            } else {
                lines.append(String(line))
            }
            places.append(place)
        }
        self.lines = lines
        self.places = places
    }
}
