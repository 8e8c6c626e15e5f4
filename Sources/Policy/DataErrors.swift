/// One mistake in a file that a person wrote: the place, the text, and what to write instead.
package struct Mistake: Equatable, Sendable {
    /// The file's name as the user gave it.
    package let file: String
    /// The line, counted from 1.
    package let line: Int
    /// The column, counted from 1 in characters, where it is known.
    package let column: Int?
    /// The offending text as it was read, uncut and unescaped; never print it as it is.
    package let text: String
    /// What is wrong, as a sentence that quotes the offending text; safe to print.
    package let message: String
    /// What to do about it, as a sentence.
    package let remedy: String?

    package init(file: String, line: Int, column: Int? = nil, text: String, message: String, remedy: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.message = message
        self.remedy = remedy
    }
}

extension Mistake: CustomStringConvertible {
    /// `FILE:LINE: what is wrong. What to do.` on one line.
    package var description: String {
        let what = remedy.map { "\(message) \($0)" } ?? message
        return "\(file.fileNameForDisplay):\(line): \(what)"
    }
}

/// All mistakes of one or more files, in the order of their lines.
package struct DataErrors: Error, Equatable {
    /// At most this many mistakes are spelled out in `description`.
    package static let displayLimit = 100

    /// Every mistake, file by file and sorted by line.
    package let mistakes: [Mistake]

    package init(_ mistakes: [Mistake]) {
        self.mistakes = mistakes
    }
}

extension DataErrors: CustomStringConvertible {
    /// One line per mistake.
    package var description: String {
        var lines = mistakes.prefix(Self.displayLimit).map(\.description)
        if mistakes.count > Self.displayLimit {
            lines.append("and \(mistakes.count - Self.displayLimit) more mistakes.")
        }
        return lines.joined(separator: "\n")
    }
}
