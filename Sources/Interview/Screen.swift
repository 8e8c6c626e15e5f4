/// How wide the person's screen is, and the text laid out for it.
package struct Screen: Equatable, Sendable {
    /// The columns that lines may fill: never more than 80, however wide the window.
    package let columns: Int

    /// Makes a screen for a window of that width; a width that nobody can read is taken for 80.
    package init(columns: Int = 80) {
        self.columns = columns < 20 ? 80 : min(columns, 80)
    }

    /// Whether there is room for tables; else each row becomes a little paragraph.
    package var isWide: Bool { columns >= 72 }

    /// How far what belongs to a question is indented.
    package var margin: Int { isWide ? 5 : 2 }

    // MARK: - Paragraphs

    /// A text broken between words, its first line `indent` in and the others `hanging` (the same, if not given).
    package func paragraph(_ text: String, indent: Int? = nil, hanging: Int? = nil, tone: Tone = .plain) -> [Line] {
        let first = indent ?? margin
        return wrap(text, first: first, rest: hanging ?? first).map { Line($0, tone: tone) }
    }

    /// Terms with what they mean beside them, the meanings in one column; below each other where it is narrow.
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

    /// Rows of cells in columns; where they do not fit, each row becomes a paragraph.
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

    /// A title with a remark at the right edge; the remark goes below it where both do not fit.
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

    /// Breaks a text between words; a word wider than the screen is broken where it must be.
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
    /// The text with spaces behind it up to that width.
    func padded(to width: Int) -> String {
        count >= width ? self : self + String(repeating: " ", count: width - count)
    }

    /// The text without spaces at its end.
    var trimmedAtEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}

extension Array where Element == String {
    /// The words as people list them: "a", "a and b", "a, b and c"; from the limit on "and 3 more".
    func listed(limit: Int = 4) -> String {
        if count <= 1 { return first ?? "" }
        if count <= limit { return dropLast().joined(separator: ", ") + " and " + (last ?? "") }
        return prefix(limit - 1).joined(separator: ", ") + " and \(count - limit + 1) more"
    }
}
