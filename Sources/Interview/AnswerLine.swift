import Netfilter

/// A typed line, split into words.
///
/// Only printable ASCII is accepted.
struct AnswerLine: Equatable, Sendable {
    /// The maximum length of a line, so that a file pasted by accident is rejected at once.
    static let limit = 4096

    /// The words, which are separated by spaces or commas.
    let words: [String]

    /// Splits a line at spaces, tabs, commas and pasted line breaks.
    ///
    /// All other control characters are errors.
    init(parsing text: String) throws(AnswerMistake) {
        guard text.utf8.count <= AnswerLine.limit else {
            throw AnswerMistake(
                "", "The line is too long: \(text.utf8.count) characters. The limit is \(AnswerLine.limit).")
        }
        let separators: Set<Unicode.Scalar> = [" ", "\t", "\n", "\r", ",", "\u{A0}"]
        var parts: [AnswerMistake.Part] = []
        var words: [String] = []
        for piece in text.unicodeScalars.split(whereSeparator: { separators.contains($0) }) {
            if let invalid = piece.first(where: { !(0x21...0x7E).contains($0.value) }) {
                let shown = String(piece).quoted()
                let kind =
                    invalid.value < 0x20 || invalid.value == 0x7F ? "a control character" : "a character outside ASCII"
                parts.append(
                    .init(
                        text: String(piece),
                        message: "\(shown) contains \(kind) (U+\(AnswerLine.hex(invalid))). "
                            + "Use only letters, digits and . : / -"
                    ))
                continue
            }
            words.append(String(piece))
        }
        guard parts.isEmpty else { throw AnswerMistake(parts) }
        self.words = words
    }

    /// The words in lower case, to compare them with keywords.
    var lowercased: [String] { words.map { $0.lowercased() } }

    /// The word in lower case, if there is exactly one.
    var onlyWord: String? { words.count == 1 ? words.first?.lowercased() : nil }

    /// The line, without control characters, so that it can be shown again for editing.
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
    /// A name from the machine, made safe to print in a sentence: short, printable ASCII.
    var shown: String { String(quoted(limit: 24).dropFirst().dropLast()) }
}
