/// One word of a rule: what it means, and the bytes it was written in.
package struct Word: Hashable, Sendable {
    /// The word without its quotes and escapes.
    package let value: String
    /// The word as it stands in the file.
    package let spelling: String

    /// A word that was read; the reader knows both forms.
    init(value: String, spelling: String) {
        self.value = value
        self.spelling = spelling
    }

    /// A word in whose place quotes mean nothing.
    init(verbatim text: String) {
        self.init(value: text, spelling: text)
    }

    /// A word that needs no quotes, or the canonical quoted spelling of one that does.
    package init(_ value: String) {
        self.value = value
        spelling = Self.isPlain(value) ? value : Self.quoted(value)
    }

    /// Blanks, quotes and emptiness would make another word of it, or none; an apostrophe iptables itself escapes.
    private static func isPlain(_ value: String) -> Bool {
        !value.isEmpty
            && !value.utf8.contains {
                Ascii.isBlank($0) || [Ascii.quote, Ascii.apostrophe, Ascii.newline].contains($0)
            }
    }

    /// Free text (a comment, a log prefix) as iptables-save prints it: quoted unless it is letters, digits, - and _.
    ///
    /// This is `xtables_save_string` of libxtables, which escapes the apostrophe too.
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
    /// The words as one text, a space between two.
    var spelled: String { map(\.spelling).joined(separator: " ") }
}

extension Word {
    /// Splits a line as iptables-restore does; nil when a quote is left open.
    ///
    /// A double quote may begin anywhere and always ends its word; a backslash counts only inside one. An apostrophe
    /// is a character like any other.
    static func split(_ line: some Sequence<UInt8>) -> [Word]? {
        let (words, isOpen) = split(line) { _ in true }
        return isOpen ? nil : words
    }

    /// Splits a line as iptables-save prints it: quotes stand around a whole word or mean nothing (`--name x"y`).
    ///
    /// - Returns: the words, and whether the last one's quote is left open.
    static func splitPrinted(_ line: some Sequence<UInt8>) -> (words: [Word], isOpen: Bool) {
        split(line) { isInside in !isInside }
    }

    private static func split(
        _ line: some Sequence<UInt8>, opens: (_ insideWord: Bool) -> Bool
    ) -> (words: [Word], isOpen: Bool) {
        var words: [Word] = []
        var value: [UInt8] = []
        var spelling: [UInt8] = []
        var isQuoted = false
        var isEscaped = false
        func finished() -> Word {
            Word(value: String(decoding: value, as: UTF8.self), spelling: String(decoding: spelling, as: UTF8.self))
        }
        for byte in line {
            if !isQuoted, Ascii.isBlank(byte) {
                if !spelling.isEmpty { words.append(finished()) }
                (value, spelling) = ([], [])
                continue
            }
            let isInside = !spelling.isEmpty
            spelling.append(byte)
            if isEscaped {
                value.append(byte)
                isEscaped = false
            } else if isQuoted, byte == Ascii.backslash {
                isEscaped = true
            } else if isQuoted, byte == Ascii.quote {
                words.append(finished())
                (value, spelling, isQuoted) = ([], [], false)
            } else if byte == Ascii.quote, opens(isInside) {
                isQuoted = true
            } else {
                value.append(byte)
            }
        }
        if !spelling.isEmpty { words.append(finished()) }
        return (words, isQuoted)
    }
}
