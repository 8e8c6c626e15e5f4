/// One word of a rule: its meaning, and the bytes it was written in.
package struct Word: Hashable, Sendable {
    /// The word without its quotes and escapes.
    package let value: String
    /// The word as written in the file.
    package let spelling: String

    /// A word that was read; the reader passes both forms.
    init(value: String, spelling: String) {
        self.value = value
        self.spelling = spelling
    }

    /// A word in a place where quotes have no meaning.
    init(verbatim text: String) {
        self.init(value: text, spelling: text)
    }

    /// A word that needs no quotes, or the canonical quoted spelling of one that does.
    package init(_ value: String) {
        self.value = value
        spelling = Self.isPlain(value) ? value : Self.quoted(value)
    }

    /// Whether the spelling is the word itself, without quotes and escapes.
    var isPlain: Bool { value == spelling }

    /// Blanks, quotes and empty text would change the word or remove it; iptables itself escapes an apostrophe.
    private static func isPlain(_ value: String) -> Bool {
        !value.isEmpty
            && !value.utf8.contains {
                Ascii.isBlank($0) || $0 == Ascii.quote || $0 == Ascii.apostrophe || $0 == Ascii.newline
            }
    }

    /// Free text (a comment, a log prefix) as iptables-save prints it: quoted unless it has only letters, digits, `-` and
    /// `_`.
    ///
    /// This is `xtables_save_string` of libxtables, which also escapes the apostrophe.
    package static func string(_ text: String) -> String {
        let isBare = !text.isEmpty && text.utf8.allSatisfy(isBareByte)
        return isBare ? text : quoted(text)
    }

    private static func isBareByte(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return Ascii.isDigit(byte) || byte == Ascii.dash || byte == UInt8(ascii: "_")
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower)
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = !text.utf8.contains { $0 == Ascii.quote || $0 == Ascii.backslash || $0 == Ascii.apostrophe }
        if isPlain { return "\"" + text + "\"" }
        var bytes = [Ascii.quote]
        for byte in text.utf8 {
            if byte == Ascii.quote || byte == Ascii.backslash || byte == Ascii.apostrophe {
                bytes.append(Ascii.backslash)
            }
            bytes.append(byte)
        }
        return String(decoding: bytes + [Ascii.quote], as: UTF8.self)
    }
}

extension Sequence<Word> {
    /// The words as one text, separated by spaces.
    var spelled: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the words, separated by spaces.
    func write(to text: inout String) {
        var isFirst = true
        for word in self {
            if !isFirst { text += " " }
            text += word.spelling
            isFirst = false
        }
    }
}

extension ArraySlice<Word> {
    /// Whether the output of `write` is how the words are spelled, byte for byte.
    func spell(_ write: (inout String) -> Void) -> Bool {
        var written = ""
        write(&written)
        return written.withUTF8 { spell($0) }
    }

    /// Whether a line consists of the words as they are spelled, separated by spaces.
    func spell(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        var place = 0
        for (index, word) in enumerated() {
            if index > 0 {
                guard place < line.count, line[place] == Ascii.blank else { return false }
                place += 1
            }
            for byte in word.spelling.utf8 {
                guard place < line.count, line[place] == byte else { return false }
                place += 1
            }
        }
        return place == line.count
    }
}

extension Word {
    /// Splits a line as iptables-restore does; nil if a quote is not closed.
    ///
    /// A double quote may begin anywhere and always ends its word; a backslash has a meaning only inside one. An
    /// apostrophe is an ordinary character.
    static func split(_ line: ArraySlice<UInt8>) -> [Word]? {
        let (words, isOpen) = split(line, opensInsideWord: true)
        return isOpen ? nil : words
    }

    /// Splits a line as iptables-save prints it: quotes enclose a whole word or have no meaning (`--name x"y`).
    static func splitPrinted(_ line: ArraySlice<UInt8>) -> [Word] {
        split(line, opensInsideWord: false).words
    }

    private static func split(
        _ line: ArraySlice<UInt8>, opensInsideWord: Bool
    ) -> (words: [Word], isOpen: Bool) {
        var words: [Word] = []
        words.reserveCapacity(16)
        var start = line.startIndex
        while start < line.endIndex {
            if Ascii.isBlank(line[start]) {
                start += 1
                continue
            }
            var end = start
            while end < line.endIndex, !Ascii.isBlank(line[end]) {
                if line[end] == Ascii.quote, opensInsideWord || end == start { break }
                end += 1
            }
            let isQuoted = end < line.endIndex && line[end] == Ascii.quote
            guard isQuoted else {
                words.append(Word(verbatim: String(decoding: line[start..<end], as: UTF8.self)))
                start = end
                continue
            }
            let (value, next, isOpen) = quoted(line, from: start, quoteAt: end)
            words.append(Word(value: value, spelling: String(decoding: line[start..<next], as: UTF8.self)))
            if isOpen { return (words, true) }
            start = next
        }
        return (words, false)
    }

    /// A word that contains a quote: its meaning, where it ends, and whether its quote is still open.
    private static func quoted(
        _ line: ArraySlice<UInt8>, from start: Int, quoteAt quote: Int
    ) -> (value: String, end: Int, isOpen: Bool) {
        var value = line[start..<quote]
        var place = quote + 1
        while place < line.endIndex, line[place] != Ascii.quote {
            if line[place] == Ascii.backslash {
                place += 1
                if place == line.endIndex { break }
            }
            value.append(line[place])
            place += 1
        }
        let isOpen = place >= line.endIndex
        return (String(decoding: value, as: UTF8.self), isOpen ? line.endIndex : place + 1, isOpen)
    }
}
