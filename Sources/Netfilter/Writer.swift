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

    /// What `iptables-restore --noflush` needs to make the named chains what they are here and leave all others alone.
    ///
    /// A declared chain keeps its rules under `--noflush` if it is built-in, hence the `-F`. The policy of every
    /// declared built-in chain is set, and so the others must not be declared.
    package func noflushText(chains names: [String]) -> String {
        let chosen = chains.filter { names.contains($0.name) }
        let lines =
            ["*\(name)"] + chosen.map { Chain($0.name, policy: $0.policy).text } + chosen.map { "-F \($0.name)" }
            + rules.filter { rule in chosen.contains { $0.name == rule.chain } }.map(\.withoutCounters.text)
            + ["COMMIT"]
        return lines.joined(separator: "\n") + "\n"
    }
}
