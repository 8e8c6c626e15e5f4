import Netfilter

/// The rules that an incoming packet may meet, with their counters.
package struct CountedRules: Sendable {
    /// A chain with its rules.
    package struct Chain: Sendable {
        /// The table: `filter`, `inet latchkey`.
        package let table: String
        /// The chain's name.
        package let name: String
        /// Its rules, in order.
        package var rules: [CountedRule] = []
        /// What the kernel does with it at a hook; nil for a chain that only rules jump to.
        package var base: Base?
    }

    /// A chain that the kernel calls at a hook.
    package struct Base: Sendable {
        /// What happens to a packet that no rule decides.
        package var policy: ChainPolicy
        /// How many packets the policy decided; nil if the kernel does not count them.
        package var policyPackets: UInt64?
        /// Whether accepting a packet in this chain is what the plan counts on; elsewhere an accept only lets the packet
        /// continue.
        package var isDeciding: Bool
    }

    /// All chains; those at hooks first, in the order in which a packet passes them.
    package let chains: [Chain]

    /// Rules by their chains.
    ///
    /// - Parameter chains: all chains, those at hooks in the order in which a packet passes them.
    package init(chains: [Chain]) { self.chains = chains }

    /// The chains at hooks, in the order in which a packet passes them.
    var bases: [Chain] { chains.filter { $0.base != nil } }

    /// The chain that the plan's answers are about.
    var deciding: Chain? { chains.last { $0.base?.isDeciding == true } }

    /// A chain by its names.
    func chain(_ name: String, in table: String) -> Chain? {
        chains.first { $0.name == name && $0.table == table }
    }

    /// The chains that a packet may come to from a chain, itself first.
    func reached(from first: Chain) -> [Chain] {
        var reached = [first]
        var index = 0
        while index < reached.count {
            for rule in reached[index].rules {
                for name in rule.targets where !reached.contains(where: { $0.name == name }) {
                    if let chain = chain(name, in: first.table) { reached.append(chain) }
                }
            }
            index += 1
        }
        return reached
    }
}

extension CountedRules {
    /// Where iptables' rules meet an incoming packet, in this order; the last is the one that decides.
    static let hooks = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "INPUT"), ("filter", "INPUT")]

    /// The rules of one family, as iptables-save prints them with counters.
    ///
    /// - Parameter rules: the rules.
    package init(_ rules: RuleSet) {
        var bases: [Chain] = []
        var others: [Chain] = []
        for table in rules.tables {
            var byChain: [String: [CountedRule]] = [:]
            for rule in table.rules { byChain[rule.chain, default: []].append(CountedRule(rule, table: table.name)) }
            let names = table.chains.map(\.name) + byChain.keys.filter { table.chain($0) == nil }.sorted()
            for name in names {
                others.append(Chain(table: table.name, name: name, rules: byChain[name] ?? []))
            }
        }
        for (table, hook) in Self.hooks {
            let isDeciding = table == "filter"
            let declared = rules[table]?.chain(hook)
            guard let index = others.firstIndex(where: { $0.table == table && $0.name == hook }) else { continue }
            var chain = others.remove(at: index)
            chain.base = Base(
                policy: declared?.policy ?? .accept, policyPackets: declared?.counters.packets, isDeciding: isDeciding)
            bases.append(chain)
        }
        self.init(chains: bases + others)
    }
}
