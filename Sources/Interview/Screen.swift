/// The width of the user's screen, and functions that lay out text for it.
package struct Screen: Equatable, Sendable {
    /// The number of columns that a line may use: 80 at most, however wide the window is.
    package let columns: Int

    /// Creates a screen for a window of this width.
    ///
    /// A width below 20 is treated as 80.
    package init(columns: Int = 80) {
        self.columns = columns < 20 ? 80 : min(columns, 80)
    }

    /// Whether tables fit.
    ///
    /// If not, each row becomes a short paragraph.
    package var isWide: Bool { columns >= 72 }

    /// The indentation of the text below a question.
    package var margin: Int { isWide ? 5 : 2 }

    // MARK: - Paragraphs

    /// A text wrapped between words.
    ///
    /// The first line is indented by `indent`, the others by `hanging` (default: the same).
    package func paragraph(_ text: String, indent: Int? = nil, hanging: Int? = nil, tone: Tone = .plain) -> [Line] {
        let first = indent ?? margin
        return wrap(text, first: first, rest: hanging ?? first).map { Line($0, tone: tone) }
    }

    /// Terms with their meanings in a second column.
    ///
    /// On a narrow screen, each meaning follows its term.
    package func definitions(_ rows: [(term: String, meaning: String)], indent: Int? = nil) -> [Line] {
        let indent = indent ?? margin
        guard isWide else {
            return rows.flatMap { row in
                paragraph(
                    row.meaning.isEmpty ? row.term : "\(row.term): \(row.meaning)", indent: indent, hanging: indent + 2)
            }
        }
        let width = min(24, (rows.map(\.term.count).max() ?? 0) + 3)
        return rows.flatMap { row in
            let term = row.term.padded(to: max(width, row.term.count + 2))
            return wrap(row.meaning, first: indent + term.count, rest: indent + width).enumerated().map {
                number, line in
                guard number == 0 else { return Line(line) }
                let head = String(repeating: " ", count: indent) + term
                return Line((head + line.dropFirst(head.count)).trimmedAtEnd)
            }
        }
    }

    /// Rows of cells in columns.
    ///
    /// If they don't fit, each row becomes a paragraph.
    package func table(_ rows: [[String]]) -> [Line] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in (rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0) + 2
        }
        if isWide, margin + widths.reduce(0, +) - 2 <= columns {
            return rows.map { row in
                let cells = row.enumerated().map { $0.element.padded(to: widths[$0.offset]) }
                return Line((String(repeating: " ", count: margin) + cells.joined()).trimmedAtEnd)
            }
        }
        return definitions(rows.map { ($0.first ?? "", $0.dropFirst().filter { !$0.isEmpty }.joined(separator: ", ")) })
    }

    /// A title with a remark at the right edge.
    ///
    /// If both don't fit on one line, the remark goes below the title.
    package func headline(_ title: String, remark: String = "") -> [Line] {
        let gap = columns - title.count - remark.count
        if !remark.isEmpty, gap >= 2 {
            return [Line(title + String(repeating: " ", count: gap) + remark, tone: .heading)]
        }
        let head =
            title.count <= columns
            ? [Line(title, tone: .heading)] : paragraph(title, indent: 0, hanging: margin, tone: .heading)
        return head + (remark.isEmpty ? [] : paragraph(remark))
    }

    // MARK: - Words

    /// Wraps a text between words.
    ///
    /// A word that is wider than the screen is split.
    func wrap(_ text: String, first: Int, rest: Int) -> [String] {
        var lines: [String] = []
        var line = String(repeating: " ", count: first)
        var isEmpty = true
        func room() -> Int { max(8, columns) - line.count }
        for word in text.split(separator: " ") {
            var word = word[...]
            if !isEmpty, word.count + 1 > room() {
                lines.append(line)
                line = String(repeating: " ", count: rest)
                isEmpty = true
            }
            while word.count > room() - (isEmpty ? 0 : 1) {
                let cut =
                    word.index(word.startIndex, offsetBy: max(1, room()), limitedBy: word.endIndex) ?? word.endIndex
                lines.append(line + word[..<cut])
                word = word[cut...]
                line = String(repeating: " ", count: rest)
            }
            if word.isEmpty { continue }
            line += isEmpty ? String(word) : " \(word)"
            isEmpty = false
        }
        if !isEmpty || lines.isEmpty { lines.append(line.trimmedAtEnd) }
        return lines
    }
}

extension String {
    /// The text, padded with spaces to this width.
    func padded(to width: Int) -> String {
        count >= width ? self : self + String(repeating: " ", count: width - count)
    }

    /// The text without trailing spaces.
    var trimmedAtEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}

extension Array where Element == String {
    /// The words as a list in a sentence: "a", "a and b", "a, b and c".
    ///
    /// Beyond the limit: "and 3 more".
    func listed(limit: Int = 4) -> String {
        if count <= 1 { return first ?? "" }
        if count <= limit { return dropLast().joined(separator: ", ") + " and " + (last ?? "") }
        return prefix(limit - 1).joined(separator: ", ") + " and \(count - limit + 1) more"
    }
}
