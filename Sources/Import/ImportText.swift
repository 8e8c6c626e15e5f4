import Netfilter
import Policy

/// The result of an import for a person.
package struct ImportText {
    private let result: ImportResult
    /// The program that the rules come from.
    private let program: String

    /// The text of a result.
    ///
    /// - Parameters:
    ///   - result: the result.
    ///   - program: the program that the rules come from.
    package init(_ result: ImportResult, from program: String) {
        self.result = result
        self.program = program
    }

    /// The answers file: what it cannot say is in comments above the answers.
    package var yaml: String {
        var lines = ["Imported from \(program). Nothing has been changed yet."]
        if !result.omitted.isEmpty {
            lines += ["", "The answers cannot say:"]
            for row in result.omitted {
                lines += ["- \(row.rule)", "  Reason: \(row.reason).", "  Now \(row.effect)."]
            }
        }
        if !result.notes.isEmpty { lines += [""] + result.notes }
        let head = lines.flatMap { Self.comment($0) }.map { $0 + "\n" }.joined()
        return head + "\n" + AnswersFile.render(result.answers)
    }

    /// A comment of at most 80 columns, whatever the text contains: rules are other people's words.
    private static func comment(_ text: String) -> [String] {
        let indent = text.hasPrefix("  ") ? "#   " : "# "
        let rest = text.hasPrefix("- ") ? "#   " : indent
        var lines: [String] = []
        var line = text.isEmpty ? "#" : indent.dropLast().description
        for word in plain(text).split(separator: " ") {
            if line.count + 1 + word.count > 80, line.count > rest.count {
                lines.append(line)
                line = String(rest.dropLast())
            }
            line += " " + word
        }
        return lines + [line]
    }

    /// Text without line ends and control characters, which would end a comment or be refused in a file.
    private static func plain(_ text: String) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            let isOdd =
                scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                || scalar.properties.generalCategory == .format
                || [.lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned].contains(
                    scalar.properties.generalCategory)
            plain.unicodeScalars.append(isOdd ? "?" : scalar)
        }
        return plain
    }

    /// The rules in a table for the screen: what became of each.
    ///
    /// - Parameter wrap: breaks a paragraph into lines with a first and a further indent.
    /// - Returns: the lines.
    package func table(_ wrap: (_ text: String, _ first: String, _ rest: String) -> [String]) -> [String] {
        var lines: [String] = []
        func section(_ title: String, _ rows: [String]) {
            guard !rows.isEmpty else { return }
            if !lines.isEmpty { lines.append("") }
            lines.append(title)
            for row in rows { lines += wrap(Self.plain(row), "  ", "      ") }
        }
        section("Imported:", result.imported.map { "\($0.rule) => \($0.answer)" })
        section(
            "Cannot be said, and how it will be:", result.omitted.map { "\($0.rule) => \($0.effect) (\($0.reason))" })
        section("Notes:", result.notes)
        return lines
    }
}
