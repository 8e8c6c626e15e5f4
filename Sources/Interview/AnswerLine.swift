import Netfilter

/// A typed line cut into words; nothing but plain ASCII gets through, whatever was pasted.
struct AnswerLine: Equatable, Sendable {
    /// More than anybody types; a pasted file is refused before it is looked at.
    static let limit = 4096

    /// The words between spaces and commas.
    let words: [String]

    /// Cuts a line at spaces, tabs, commas and the line breaks of a paste; refuses all other control characters.
    init(parsing text: String) throws(AnswerMistake) {
        guard text.utf8.count <= AnswerLine.limit else {
            throw AnswerMistake(
                "", "The line is too long: \(text.utf8.count) characters; \(AnswerLine.limit) are allowed.")
        }
        let separators: Set<Unicode.Scalar> = [" ", "\t", "\n", "\r", ",", "\u{A0}"]
        var parts: [AnswerMistake.Part] = []
        var words: [String] = []
        for piece in text.unicodeScalars.split(whereSeparator: { separators.contains($0) }) {
            if let strange = piece.first(where: { !(0x21...0x7E).contains($0.value) }) {
                let shown = String(piece).quoted()
                let kind =
                    strange.value < 0x20 || strange.value == 0x7F ? "a control character" : "a character outside ASCII"
                parts.append(
                    .init(
                        text: String(piece),
                        message: "\(shown) holds \(kind), U+\(AnswerLine.hex(strange)). "
                            + "Answers are letters, digits and . : / -"
                    ))
                continue
            }
            words.append(String(piece))
        }
        guard parts.isEmpty else { throw AnswerMistake(parts) }
        self.words = words
    }

    /// The words in lower case, for comparing with the words of an answer.
    var lowercased: [String] { words.map { $0.lowercased() } }

    /// The only word, in lower case.
    var onlyWord: String? { words.count == 1 ? words.first?.lowercased() : nil }

    /// A line that can be given back for editing: without what a terminal would obey.
    static func editable(_ text: String) -> String {
        var kept = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit) {
            if scalar == "\t" || scalar == "\n" || scalar == "\r" {
                kept.append(" ")
            } else if scalar.value >= 0x20, scalar.value != 0x7F, !(0x80...0x9F).contains(scalar.value) {
                kept.append(scalar)
            }
        }
        return String(kept)
    }

    private static func hex(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

extension String {
    /// A name that was found on the machine, fit to stand in a sentence: short, printable ASCII.
    var shown: String { String(quoted(limit: 24).dropFirst().dropLast()) }
}
