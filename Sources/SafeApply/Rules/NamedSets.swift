import Netfilter

/// Finds the sets that rules refer to in the output of ipset(8).
enum NamedSets {
    /// The prefix of the names of latchkey's own sets.
    static let ownPrefix = NFTable.Part.ownSetPrefix

    /// The names of the sets that rules match, add to or delete from.
    static func names(in rules: RuleSet) -> Set<String> {
        Set(rules.tables.flatMap(\.rules).flatMap(names(of:)))
    }

    /// The lines of ipset's output that create some sets and their member sets.
    static func lines(of names: Set<String>, in sets: String) -> String {
        let lines = sets.split(separator: "\n").map { line in
            (text: line, words: line.split(separator: " ", maxSplits: 3).map(String.init))
        }.filter { $0.words.count > 2 }
        let lists = Set(lines.map(\.words).filter { $0[0] == "create" && $0[2] == "list:set" }.map { $0[1] })
        let members = lines.map(\.words).filter { $0[0] == "add" && lists.contains($0[1]) }
        var wanted = names
        // A list can contain lists.
        while let member = members.first(where: { wanted.contains($0[1]) && !wanted.contains($0[2]) }) {
            wanted.insert(member[2])
        }
        return lines.filter { wanted.contains($0.words[1]) }.map { "\($0.text)\n" }.joined()
    }

    /// The names of the sets that a rule matches, adds to or deletes from.
    static func names(of rule: Rule) -> [String] {
        var parts: [[Word]] = []
        for case .unknown(let words) in rule.matches { parts.append(words) }
        if case .unknown(let words) = rule.target { parts.append(words) }
        return parts.flatMap { words in
            zip(words, words.dropFirst()).filter { options.contains($0.0.value) }.map { $0.1.value }
        }
    }

    /// iptables-extensions(8): the match set and the target SET.
    private static let options: Set<String> = ["--match-set", "--add-set", "--del-set", "--map-set"]
}
