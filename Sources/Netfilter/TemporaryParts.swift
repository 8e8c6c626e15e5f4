/// The names of the parts that hold temporary entries, and those that observe a plan, beside latchkey's rules.
///
/// They are not part of any plan: a change neither makes nor removes them, and they are not saved for boot.
package enum TemporaryParts {
    /// The chain in the filter tables of iptables.
    package static let chain = "latchkey-temporary"
    /// The chain in the filter tables of iptables that observes a plan.
    package static let observedChain = "latchkey-observed"
    /// The table of nftables that observes a plan.
    package static let observedTable = NFTable.Name("inet", "latchkey-observed")
    /// The chains in the filter tables of iptables.
    package static let chains = [chain, observedChain]
    /// The chain in latchkey's own table of nftables.
    package static let tableChain = "temporary"
    /// The prefix of the names of the sets for iptables.
    package static let setPrefix = "latchkey-temp-"
    /// The prefix of the names of the sets in latchkey's own table.
    package static let tableSetPrefix = "temporary-"
    /// The comment of the rule that leads to the chain.
    package static let comment = "\(Rule.ownershipPrefix)temporary"
    /// The rule that leads to the chain of latchkey's own table.
    package static let tableJump = "jump \(tableChain) comment \"\(comment)\""

    /// A rule file without the lines about the chain, each of which becomes an empty line.
    ///
    /// - Parameter text: in iptables-save's format.
    /// - Returns: the text, with as many lines.
    package static func removed(fromRules text: String) -> String {
        guard chains.contains(where: text.contains) else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            return words.contains { word in chains.contains { word == $0 || word == ":\($0)" } } ? "" : line
        }.joined(separator: "\n")
    }

    /// The lines of ipset's output without these sets.
    ///
    /// - Parameter sets: what `ipset save` prints.
    /// - Returns: the other lines.
    package static func removed(fromSets sets: String) -> String {
        guard sets.contains(setPrefix) else { return sets }
        return sets.split(separator: "\n").filter { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count < 2 || !words[1].hasPrefix(setPrefix)
        }.map { "\($0)\n" }.joined()
    }
}

extension Rule {
    /// Whether it is in a chain for temporary entries or for an observation, or leads there.
    package var isTemporary: Bool {
        TemporaryParts.chains.contains(chain) || jumpsTo.map(TemporaryParts.chains.contains) ?? false
    }
}

extension RuleSet {
    /// The same rules without the chains for temporary entries and an observation, and the rules that lead there.
    package var withoutTemporary: RuleSet {
        let isThere = { (table: Table) in TemporaryParts.chains.contains { table.chain($0) != nil } }
        guard tables.contains(where: isThere) else { return self }
        return mapTables { table in
            let entries = table.entries.filter { entry in
                switch entry.statement {
                case .chain(let chain): !TemporaryParts.chains.contains(chain.name)
                case .rule(let rule): !rule.isTemporary
                case .command, .note: true
                }
            }
            return Table(table.name, entries: entries)
        }
    }
}

extension NFTable {
    /// The same table without the parts for temporary entries and the rule that leads there.
    package var withoutTemporary: NFTable {
        guard id == .latchkey, hasTemporary else { return self }
        var table = self
        table.parts = parts.filter { !$0.isTemporary }.map { part in
            guard part.hook != nil else { return part }
            return Part(part.kind, part.name, lines: part.lines.filter { !$0.isTemporaryJump })
        }
        return table
    }

    /// Whether it has any of those parts.
    private var hasTemporary: Bool {
        parts.contains { part in part.isTemporary || part.hook != nil && part.rules.contains(where: \.isTemporaryJump) }
    }

    /// Where the first rule that leads to temporary entries is among the rules of a base chain.
    ///
    /// - Parameter chain: the chain's name.
    /// - Returns: its place, counted from 0; nil if there is no such rule.
    package func placeOfTemporaryJump(in chain: String) -> Int? {
        id == .latchkey ? part("chain", chain)?.rules.firstIndex(where: \.isTemporaryJump) : nil
    }
}

extension NFTable.Part {
    /// Whether it is the chain or a set for temporary entries.
    package var isTemporary: Bool {
        switch kind {
        case "chain": name == TemporaryParts.tableChain
        case "set": name.hasPrefix(TemporaryParts.tableSetPrefix)
        default: false
        }
    }
}

extension String {
    /// Whether a rule of latchkey's own table leads to temporary entries; nft(8) may add a handle.
    fileprivate var isTemporaryJump: Bool { hasPrefix(TemporaryParts.tableJump) }
}
