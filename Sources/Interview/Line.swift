/// What a line on the screen is there for; colour, where there is any, follows it.
package enum Tone: CaseIterable, Equatable, Sendable {
    case plain
    case heading
    case mistake
    case warning
    case good
    case faint
}

/// One line for the person in front, already as wide as their screen allows.
package struct Line: Equatable, Sendable, ExpressibleByStringLiteral {
    /// The words, without a newline.
    package let text: String
    /// What the line is there for.
    package let tone: Tone

    /// Makes a line.
    package init(_ text: String, tone: Tone = .plain) {
        self.text = text
        self.tone = tone
    }

    /// Makes a plain line.
    package init(stringLiteral value: String) {
        self.init(value)
    }

    /// The empty line between two subjects.
    package static let blank: Line = ""
}
