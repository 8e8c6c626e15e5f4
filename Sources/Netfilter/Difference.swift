extension RuleSet {
    /// The differences between two rule sets, for people: one line each, `-` for removed and `+` for added.
    ///
    /// Every line names its table, followed by the text of an iptables command: `+filter -P INPUT DROP`. Empty if both are
    /// equivalent.
    package static func differences(from old: RuleSet, to new: RuleSet) -> [String] {
        let (old, new) = (old.normalized(), new.normalized())
        let names = Set(old.tables.map(\.name)).union(new.tables.map(\.name)).sorted()
        return names.flatMap { differences(from: old[$0] ?? open($0), to: new[$0] ?? open($0)) }
    }

    /// A missing table: it accepts everything.
    private static func open(_ name: String) -> Table {
        Table(name, chains: (Chain.builtIn(ofTable: name) ?? []).map { Chain($0, policy: .accept) })
    }

    private static func differences(from old: Table, to new: Table) -> [String] {
        var chains = old.chains.map(\.name)
        let known = Set(chains)
        chains += new.chains.map(\.name).filter { !known.contains($0) }
        let (oldChains, newChains) = (byName(old.chains), byName(new.chains))
        let (oldRules, newRules) = (byChain(old.rules), byChain(new.rules))
        return chains.flatMap { chain in
            let declarations = (oldChains[chain], newChains[chain])
            var lines: [String] = []
            if declarations.0 != declarations.1 {
                lines += declarations.0.map { ["-\(old.name) \(command($0))"] } ?? []
                lines += declarations.1.map { ["+\(new.name) \(command($0))"] } ?? []
            }
            return lines + changes(from: oldRules[chain] ?? [], to: newRules[chain] ?? [], table: new.name)
        }
    }

    private static func byName(_ chains: [Chain]) -> [String: Chain] {
        Dictionary(chains.map { ($0.name, $0) }) { $1 }
    }

    private static func byChain(_ rules: [Rule]) -> [String: [Rule]] { Dictionary(grouping: rules, by: \.chain) }

    private static func command(_ chain: Chain) -> String {
        chain.policy.map { "-P \(chain.name) \($0.rawValue)" } ?? "-N \(chain.name)"
    }

    private static func changes(from old: [Rule], to new: [Rule], table: String) -> [String] {
        if old == new { return [] }
        return new.difference(from: old).map { change in
            switch change {
            case .remove(_, let rule, _): "-\(table) \(rule.text)"
            case .insert(_, let rule, _): "+\(table) \(rule.text)"
            }
        }
    }
}
