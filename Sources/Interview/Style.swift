/// Whether lines are coloured.
///
/// Colour only emphasizes what the text already says.
package struct Style: Equatable, Sendable {
    /// Whether escape sequences for colour are allowed.
    package let colour: Bool

    /// Creates a style.
    package init(colour: Bool) {
        self.colour = colour
    }

    /// The style for a stream: colour only on a terminal that is not dumb, and without `NO_COLOR` (no-color.org).
    package init(isTerminal: Bool, environment: [String: String]) {
        let refused = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        self.init(colour: isTerminal && !refused && !Style.isDumb(environment["TERM"]))
    }

    /// Whether a terminal with this name can neither move the cursor nor show colour.
    package static func isDumb(_ term: String?) -> Bool {
        term == nil || term == "" || term == "dumb"
    }

    /// The text to write to the stream for a line, without a newline.
    package func render(_ line: Line) -> String {
        guard colour, !line.text.isEmpty, let code = Style.code(line.tone) else { return line.text }
        // ECMA-48, 8.3.117: select graphic rendition.
        return "\u{1B}[\(code)m\(line.text)\u{1B}[0m"
    }

    private static func code(_ tone: Tone) -> String? {
        switch tone {
        case .plain: nil
        case .heading: "1"
        case .mistake: "31"
        case .warning: "33"
        case .good: "32"
        case .faint: "2"
        }
    }
}
