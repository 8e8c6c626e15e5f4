/// The purpose of a line on the screen.
///
/// It determines the colour, if colour is used.
package enum Tone: CaseIterable, Equatable, Sendable {
    case plain
    case heading
    case mistake
    case warning
    case good
    case faint
}

/// One line of output, already wrapped to the width of the screen.
package struct Line: Equatable, Sendable, ExpressibleByStringLiteral {
    /// The text, without a newline.
    package let text: String
    /// The purpose of the line.
    package let tone: Tone

    /// Creates a line.
    package init(_ text: String, tone: Tone = .plain) {
        self.text = text
        self.tone = tone
    }

    /// Creates a plain line.
    package init(stringLiteral value: String) {
        self.init(value)
    }

    /// The empty line between two sections.
    package static let blank: Line = ""
}
