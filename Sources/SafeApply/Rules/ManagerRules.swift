import Host
import Netfilter

extension RuleSet {
    /// The filter table after some programs have stopped: without their rules for what comes in and goes out, and with
    /// the policy ACCEPT there.
    package func withoutRules(of programs: Set<String>) -> RuleSet {
        guard let filter = self["filter"] else { return RuleSet() }
        let chains = filter.chains.map { ["INPUT", "OUTPUT"].contains($0.name) ? Chain($0.name, policy: .accept) : $0 }
        let own = Set(filter.chains.filter { $0.policy == nil }.map(\.name))
        let ownsRest = KnownFirewall.ownsInput(anyOf: programs)
        let rules = filter.rules.filter { rule in
            guard ["INPUT", "OUTPUT"].contains(rule.chain), !rule.isOwned else { return true }
            guard let chain = rule.jumpsTo, own.contains(chain) else { return !ownsRest }
            return !KnownFirewall.owns(chain: chain, anyOf: programs)
        }
        return RuleSet(tables: [Table("filter", chains: chains, rules: rules.map(\.withoutCounters))])
    }

    /// The rules without those of some programs: their chains, all jumps there and, if they own the whole INPUT chain, all
    /// rules of the table filter that no other known program owns.
    package func withoutAllRules(of programs: Set<String>) -> RuleSet {
        mapTables { table in
            let chains = Set(table.chains.filter { $0.policy == nil }.map(\.name))
            let gone = chains.filter { KnownFirewall.owns(chain: $0, anyOf: programs) }
            let ownsRest = table.name == "filter" && KnownFirewall.ownsInput(anyOf: programs)
            let entries = table.entries.filter { entry in
                switch entry.statement {
                case .chain(let chain): return !gone.contains(chain.name)
                case .rule(let rule) where rule.isOwned: return true
                case .rule(let rule):
                    if gone.contains(rule.chain) || gone.contains(rule.jumpsTo ?? "") { return false }
                    return !ownsRest || chains.contains(rule.chain) || chains.contains(rule.jumpsTo ?? "")
                case .command, .note: return true
                }
            }
            return Table(table.name, entries: entries)
        }
    }
}
