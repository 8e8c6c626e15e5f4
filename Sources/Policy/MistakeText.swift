import Netfilter

extension String {
    /// This text in double quotes, safe for a terminal and cut to a length that leaves room for a sentence.
    package var quoted: String { quoted(limit: 60) }

    /// The name of a file, which may contain any byte but a slash, with terminal control characters escaped.
    var fileNameForDisplay: String {
        unicodeScalars.map { $0.isFitForText ? String($0) : $0.codePoint }.joined()
    }
}

extension Unicode.Scalar {
    /// Whether a text file may contain this character, apart from line ends and tabs.
    ///
    /// Controls, invisible format characters (the bidirectional ones can make a line look different from what it
    /// is, Unicode Technical Report 36) and the replacement character are refused. The two joiners are accepted:
    /// Persian and emoji need them.
    var isFitForText: Bool {
        if value < 0x7f { return value >= 0x20 }
        if value == 0x200c || value == 0x200d { return true }
        if self == "\u{fffd}" || value & 0xfffe == 0xfffe || (0xfdd0...0xfdef).contains(value) { return false }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate: return false
        default: return true
        }
    }

    /// Its number in Unicode's notation, for example `U+202E`.
    var codePoint: String {
        let hex = String(value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - hex.utf8.count)) + hex
    }
}
