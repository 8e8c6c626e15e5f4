extension String {
    /// This text in double quotes, suitable for a message: one line, printable ASCII, and never long.
    ///
    /// The text may be hostile (a terminal's escape sequence, a megabyte on one line), so everything except printable
    /// ASCII is written as its code point, and characters after the first `limit` are omitted.
    package func quoted(limit: Int = 40) -> String {
        var shown = ""
        var room = limit
        for scalar in unicodeScalars {
            guard room > 0 else {
                shown += "..."
                break
            }
            room -= 1
            switch scalar {
            case "\n": shown += "\\n"
            case "\r": shown += "\\r"
            case "\t": shown += "\\t"
            case "\"", "\\": shown += "\\" + String(scalar)
            case " "..."~": shown.unicodeScalars.append(scalar)
            default: shown += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return "\"" + shown + "\""
    }
}
