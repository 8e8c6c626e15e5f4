/// A file's bytes as text that is safe to pass to a YAML parser.
struct StrictYAMLText {
    /// The text with `\n` line ends, and U+FFFD in place of every character that was refused.
    let text: String
    /// The lines on which a character was refused.
    let damaged: Set<Int>

    /// Decodes a file and records the characters that are not allowed, the first of each line.
    ///
    /// It returns nil if the bytes are not text.
    init?(_ bytes: [UInt8], mistakes: inout Mistakes) {
        if bytes.allSatisfy(Self.isPlain) {
            text = String(decoding: bytes, as: UTF8.self)
            damaged = []
            return
        }
        guard let source = String(validating: bytes, as: UTF8.self) else {
            let utf16 = bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff])
            mistakes.add(
                line: Self.lineOfFirstError(in: bytes), text: "",
                utf16 ? "The file is UTF-16 text." : "This line is not UTF-8 text.", remedy: "Save the file as UTF-8.")
            return nil
        }
        var scalars = source.unicodeScalars[...]
        // Editors on Windows write one byte order mark at the beginning; anywhere else it is an invisible character.
        if scalars.first == "\u{feff}" { scalars.removeFirst() }

        var clean = String.UnicodeScalarView()
        var damaged: Set<Int> = []
        var line = 1
        while let scalar = scalars.popFirst() {
            if scalar == "\r", scalars.first == "\n" { continue }
            if scalar == "\n" { line += 1 }
            if scalar == "\n" || scalar == "\t" || scalar.isFitForText {
                clean.append(scalar)
                continue
            }
            clean.append("\u{fffd}")
            if damaged.insert(line).inserted {
                mistakes.add(
                    line: line, text: String(scalar), "The character \(scalar.codePoint) is not allowed in this file.",
                    remedy: "It is a control or invisible character: delete it.")
            }
        }
        self.text = String(clean)
        self.damaged = damaged
    }

    /// Whether a byte is a visible ASCII character, a space, a tab or a line end, as in nearly every file.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (UInt8(ascii: " ")...UInt8(ascii: "~")).contains(byte) || byte == UInt8(ascii: "\n")
            || byte == UInt8(ascii: "\t")
    }

    private static func lineOfFirstError(in bytes: [UInt8]) -> Int {
        var line = 1
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" { line += 1 }
        }
        return line
    }
}
