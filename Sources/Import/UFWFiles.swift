import Netfilter

/// The files from which ufw loads its rules.
package struct UFWFiles: Sendable {
    /// The rules that a family passes, by their file: before, user, after.
    package var rules: [Family: [RuleSet]]
    /// The policy for incoming packets: `DROP`, `REJECT` or `ACCEPT`.
    package var policy: String
    /// Whether ufw filters IPv6; otherwise it blocks it.
    package var filtersIPv6: Bool

    /// The files of ufw.
    ///
    /// - Parameters:
    ///   - rules: the rules that a family passes, in the order before, user, after.
    ///   - policy: the policy for incoming packets.
    ///   - filtersIPv6: whether IPv6 is filtered; otherwise it is blocked.
    package init(rules: [Family: [RuleSet]], policy: String, filtersIPv6: Bool) {
        self.rules = rules
        self.policy = policy
        self.filtersIPv6 = filtersIPv6
    }

    /// What they do with incoming packets.
    package var filter: IPTablesFilter {
        var tables: [Family: RuleSet] = [:]
        var titles: [Family: [String: [Int: String]]] = [:]
        for family in Family.allCases {
            let prefix = family == .ipv4 ? "ufw" : "ufw6"
            let isFiltered = family == .ipv4 || filtersIPv6
            let parts = isFiltered ? (rules[family] ?? []).compactMap { $0["filter"] } : []
            let own = parts.flatMap { Self.withInsertions($0.entries) }
            let jumps = ["before-input", "after-input"].map { Rule("INPUT", target: .jump("\(prefix)-\($0)")) }
            // ufw's own program adds these at its start.
            let fixed = [
                Rule("\(prefix)-before-input", target: .jump("\(prefix)-user-input")),
                Rule("\(prefix)-skip-to-policy-input", target: policy == "ACCEPT" ? .accept : .drop),
                Rule("\(prefix)-user-limit", target: .drop),
                Rule("\(prefix)-user-limit-accept", target: .accept),
            ]
            let known = Set(own.compactMap { if case .rule(let rule) = $0.statement { rule.chain } else { nil } })
            let missing = fixed.filter { $0.chain.hasSuffix("before-input") || !known.contains($0.chain) }
            let chain = Chain("INPUT", policy: policy == "ACCEPT" ? .accept : .drop)
            let table = Table(
                "filter",
                entries: [Entry(.chain(chain))] + jumps.map { Entry(.rule($0)) } + own
                    + missing.map { Entry(.rule($0)) })
            tables[family] = RuleSet(tables: [table])
            titles[family] = Self.titles(table)
        }
        return IPTablesFilter(tables, titles: titles)
    }

    /// The rules in one of the files.
    ///
    /// ufw writes its comments in apostrophes, which iptables-restore takes as a part of the comment.
    ///
    /// - Parameters:
    ///   - text: the file.
    ///   - file: its name, for messages.
    ///   - family: the family that it is for.
    /// - Returns: the rules.
    /// - Throws: `RuleSetError` for a line that is not understood.
    package static func rules(_ text: String, file: String, for family: Family) throws(RuleSetError) -> RuleSet {
        let mark = "--comment '"
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
            guard line.hasPrefix("-"), let start = line.firstRange(of: mark),
                let end = line[start.upperBound...].firstIndex(of: "'")
            else { return line }
            let comment = line[start.upperBound..<end]
            guard !comment.contains("\"") else { return line }
            return line[..<start.lowerBound] + "--comment \"\(comment)\"" + line[line.index(after: end)...]
        }
        return try RuleSet(parsing: lines.joined(separator: "\n"), file: file, for: family)
    }

    /// Entries with each rule that is inserted (`-I CHAIN`) ahead of the other rules of its file.
    private static func withInsertions(_ entries: [Entry]) -> [Entry] {
        var first: [Entry] = []
        var rest: [Entry] = []
        for entry in entries {
            if case .command(let words) = entry.statement, ["-I", "--insert"].contains(words.first?.value),
                let rule = try? Rule(parsing: "-A " + words.dropFirst().map(\.spelling).joined(separator: " "))
            {
                first.insert(Entry(.rule(rule)), at: 0)
            } else {
                rest.append(entry)
            }
        }
        return first + rest
    }

    /// What a person calls the rules that belong to ufw's own notes, by chain and number.
    private static func titles(_ table: Table) -> [String: [Int: String]] {
        var titles: [String: [Int: String]] = [:]
        var numbers: [String: Int] = [:]
        var title: String?
        for entry in table.entries {
            switch entry.statement {
            case .note(let line):
                if line.hasPrefix("### tuple ###") {
                    title = UFWTuple(line)?.title ?? line
                } else if line.isEmpty || line.hasPrefix("###") {
                    title = nil
                }
            case .rule(let rule):
                let number = numbers[rule.chain, default: 0]
                numbers[rule.chain] = number + 1
                if let title, rule.chain.hasSuffix("-user-input") { titles[rule.chain, default: [:]][number] = title }
            case .chain, .command: break
            }
        }
        return titles
    }
}

/// A note of ufw's about the rules below it: `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`.
struct UFWTuple {
    /// The rule as the command `ufw` takes it.
    let title: String

    /// Reads a note; nil for one of another form.
    init?(_ line: String) {
        var words = line.split(separator: " ").dropFirst(3).map(String.init)
        words.removeAll { $0.hasPrefix("comment=") }
        let isRoute = words.first?.hasPrefix("route:") ?? false
        guard words.count >= 6, !isRoute else { return nil }
        let (action, transport, port, target) = (words[0], words[1], words[2], words[3])
        let (sourcePort, source) = (words[4], words[5])
        let way = words.last ?? ""
        var text = "ufw \(action.replacing("_", with: " "))"
        if let interface = way.split(separator: "_", maxSplits: 1).dropFirst().first { text += " in on \(interface)" }
        let application = words.count >= 9 ? words[6].replacing("%20", with: " ") : "-"
        func isAny(_ network: String) -> Bool { network == "0.0.0.0/0" || network == "::/0" || network == "any" }
        if !isAny(source) { text += " from \(source)" }
        if sourcePort != "any" { text += " port \(sourcePort)" }
        let isShort = isAny(source) && isAny(target) && sourcePort == "any"
        if isShort {
            if application != "-" {
                text += " \"\(application)\""
            } else if port != "any" {
                text += transport == "any" ? " \(port)" : " \(port)/\(transport)"
            }
        } else {
            if !isAny(target) || port != "any" { text += " to \(isAny(target) ? "any" : target)" }
            if application != "-" {
                text += " app \"\(application)\""
            } else if port != "any" {
                text += " port \(port)"
            }
            if transport != "any", application == "-" { text += " proto \(transport)" }
        }
        title = text
    }
}
