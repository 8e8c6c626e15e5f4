import Host
import Netfilter

/// The removal of latchkey's rules from one family, as `latchkey off` makes it.
///
/// All rules with latchkey's comment go, and the rules of a plan, which names what goes. Everything else stays, in its
/// order, with what other programs add in the meantime.
package struct RuleRemoval: Sendable, Equatable {
    /// What goes: rules; user chains, unless somebody else uses them; a policy DROP of a built-in chain.
    let plan: RuleSet
    private let bodies: [String: [String: Set<String>]]

    /// The removal of what a plan names.
    package init(_ plan: RuleSet) {
        self.plan = plan
        bodies = Dictionary(
            plan.tables.map { ($0.name, $0.rulesByChain.mapValues { Set($0.map(\.body)) }) },
            uniquingKeysWith: { _, last in last })
    }

    // MARK: - The plan

    /// The plan that removes the kept rules.
    ///
    /// - Parameters:
    ///   - kept: the record of the kept rules that are latchkey's; nil if there is none.
    ///   - live: the rules that are active now; what has latchkey's comment or name goes too.
    /// - Returns: the plan; without tables if nothing goes.
    package static func plan(kept: RuleSet?, live: RuleSet) -> RuleSet {
        var names = kept?.tables.map(\.name) ?? []
        names += live.tables.map(\.name).filter { !names.contains($0) }
        return RuleSet(
            tables: names.compactMap { name in
                let record = kept?[name]
                var rules = (record?.rules ?? []).filter { !isOfKnownProgram($0) }.map(\.withoutCounters)
                var seen = Set(rules)
                let own = (live[name]?.rules ?? []).filter { $0.isOwned && !$0.isGate }.map(\.withoutCounters)
                rules += own.filter { !$0.chain.hasPrefix(Trial.chainPrefix) && seen.insert($0).inserted }
                // With INPUT alone, its policy was not the kept change's.
                let isInputAlone = record?.isInputAlone ?? false
                var chains = (record?.chains ?? []).filter { chain in
                    chain.policy == nil
                        ? KnownFirewall.owner(ofChain: chain.name) == nil : chain.policy == .drop && !isInputAlone
                }
                chains += (live[name]?.chains ?? []).filter { chain in
                    chain.policy == nil && chain.name.hasPrefix(ownChainPrefix)
                        && !chain.name.hasPrefix(Trial.chainPrefix) && !TemporaryParts.chains.contains(chain.name)
                        && !chains.contains { $0.name == chain.name }
                }
                guard !rules.isEmpty || !chains.isEmpty else { return nil }
                return Table(name, chains: chains.map { Chain($0.name, policy: $0.policy) }, rules: rules)
            })
    }

    /// The prefix of the names of latchkey's own chains.
    private static let ownChainPrefix = "latchkey"

    /// Whether a recorded rule belongs to another program: a file that was applied may be a dump with Docker's chains.
    private static func isOfKnownProgram(_ rule: Rule) -> Bool {
        guard !rule.isOwned else { return false }
        return [rule.chain, rule.jumpsTo].compactMap(\.self).contains { KnownFirewall.owner(ofChain: $0) != nil }
    }

    // MARK: - What goes from a table

    /// Whether a rule goes; gates are not asked about.
    func goes(_ rule: Rule, from table: String) -> Bool {
        rule.isOwned || bodies[table]?[rule.chain]?.contains(rule.body) ?? false
    }

    /// The chains of a table in which something changes, in its order.
    func chains(of table: Table) -> [String] {
        let rules = table.rulesByChain
        return table.chains.filter { chain in
            !chain.name.hasPrefix(Trial.chainPrefix)
                && (policy(of: chain.name, in: table) != nil
                    || (rules[chain.name] ?? []).contains { !$0.isGate && goes($0, from: table.name) })
        }.map(\.name)
    }

    /// The new policy of a chain; nil if it stays.
    ///
    /// A policy DROP may not stay alone: nobody could log in any more. It stays where it is a part of another program's
    /// firewall, which accepts replies by a rule of its own.
    func policy(of chain: String, in table: Table) -> ChainPolicy? {
        guard table.chain(chain)?.policy == .drop else { return nil }
        let own = table.rules(in: chain).filter { !$0.isGate }
        let rest = own.filter { !goes($0, from: table.name) }
        guard chain == "INPUT", table.name == "filter" else {
            let isOfOthers = rest.contains { rule in rule.jumpsTo.flatMap(KnownFirewall.owner(ofChain:)) != nil }
            return plan[table.name]?.chain(chain)?.policy == .drop && !isOfOthers ? .accept : nil
        }
        let isNamed = plan["filter"]?.chain(chain) != nil || bodies["filter"]?[chain] != nil
        guard isNamed || rest.count < own.count else { return nil }
        return acceptsReplies(rest, in: table) ? nil : .accept
    }

    /// Whether rules, or the chains that they lead to, accept all replies.
    private func acceptsReplies(_ rules: [Rule], in table: Table) -> Bool {
        let all = table.rulesByChain
        var open = rules
        var seen: Set<String> = []
        while let rule = open.popLast() {
            if rule.acceptsReplies { return true }
            guard let chain = rule.jumpsTo, seen.insert(chain).inserted else { continue }
            open += (all[chain] ?? []).filter { !goes($0, from: table.name) }
        }
        return false
    }

    /// The user chains that go: named by the plan, empty afterwards, and used by no rule that stays.
    func goneChains(of table: Table) -> [String] {
        let named = (plan[table.name]?.chains ?? []).filter { $0.policy == nil }.map(\.name)
        guard !named.isEmpty else { return [] }
        let stay = table.rules.filter { $0.isGate || !goes($0, from: table.name) }
        let used = Set(stay.flatMap { [$0.chain, $0.jumpsTo ?? ""] })
        return named.filter { table.chain($0) != nil && !used.contains($0) }
    }

    /// The chains whose rules still decide afterwards: the built-in ones, and those that rules which stay lead to.
    func usedChains(of table: Table) -> Set<String> {
        let rules = table.rulesByChain
        var open = table.chains.filter { $0.policy != nil }.map(\.name)
        var used: Set<String> = []
        while let chain = open.popLast() {
            guard used.insert(chain).inserted else { continue }
            open += (rules[chain] ?? []).filter { !goes($0, from: table.name) }.compactMap(\.jumpsTo)
        }
        return used
    }

    /// The rules without what goes; for files that are loaded at boot, and for reports.
    package func rest(of rules: RuleSet) -> RuleSet {
        rules.withoutTrial.mapTables { table in
            let gone = Set(goneChains(of: table))
            let entries = table.entries.compactMap { entry -> Entry? in
                switch entry.statement {
                case .rule(let rule): return goes(rule, from: table.name) ? nil : entry
                case .chain(let chain):
                    if gone.contains(chain.name) { return nil }
                    guard let policy = policy(of: chain.name, in: table) else { return entry }
                    return Entry(.chain(Chain(chain.name, policy: policy)))
                case .command, .note: return entry
                }
            }
            return Table(table.name, entries: entries)
        }
    }

    /// Whether rules contain anything that goes.
    package func concerns(_ rules: RuleSet) -> Bool { rest(of: rules).normalized() != rules.normalized() }
}

extension Rule {
    /// Whether it accepts the replies of all connections.
    fileprivate var acceptsReplies: Bool {
        guard target == .accept else { return false }
        var isForReplies = false
        for match in matches {
            switch match {
            case .conntrack(let states, negated: false) where states.contains(.established): isForReplies = true
            case .comment: break
            case .unknown(let words):
                // The older spelling of conntrack: -m state --state RELATED,ESTABLISHED.
                let isState = words.count == 4 && words[1].value == "state"
                guard isState, words[3].value.contains("ESTABLISHED") else { return false }
                isForReplies = true
            default: return false
            }
        }
        return isForReplies
    }
}
