extension RuleSet {
    /// The rule set in iptables-save's format, byte for byte as it was read.
    package var text: String {
        let lines = parts.flatMap { part in
            switch part {
            case .table(let table): table.lines
            case .note(let line): [line]
            }
        }
        guard !lines.isEmpty else { return "" }
        return lines.joined(separator: "\n") + (endsInNewline ? "\n" : "")
    }
}

extension Table {
    /// The table in iptables-save's format, from `*filter` to `COMMIT`.
    package var text: String { lines.joined(separator: "\n") + "\n" }

    var lines: [String] { [spelling ?? "*\(name)"] + entries.map(\.text) + ["COMMIT"] }
}
