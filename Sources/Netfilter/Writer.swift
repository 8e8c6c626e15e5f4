extension RuleSet {
    /// The rule set in iptables-save's format, byte for byte as it was read.
    package var text: String {
        var text = ""
        for part in parts {
            switch part {
            case .table(let table): table.write(to: &text)
            case .note(let line):
                text += line
                text += "\n"
            }
        }
        if !endsInNewline, !text.isEmpty { text.unicodeScalars.removeLast() }
        return text
    }
}

extension Table {
    /// The table in iptables-save's format, from `*filter` to `COMMIT`.
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// Writes the table, each line with its end.
    fileprivate func write(to text: inout String) {
        text += spelling ?? "*\(name)"
        text += "\n"
        for entry in entries {
            entry.write(to: &text)
            text += "\n"
        }
        text += "COMMIT\n"
    }
}
