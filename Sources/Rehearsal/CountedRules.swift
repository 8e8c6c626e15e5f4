import Netfilter

/// The way of the packets that a rehearsal tests.
package enum PacketPath: Sendable {
    /// To the server itself.
    case incoming
    /// Through the server, to a container or from it.
    case forwarded
}

/// The rules that a packet may meet, with their counters.
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
    /// The packets' way.
    let path: PacketPath

    /// Rules by their chains.
    ///
    /// - Parameters:
    ///   - chains: all chains, those at hooks in the order in which a packet passes them.
    ///   - path: the packets' way.
    package init(chains: [Chain], path: PacketPath = .incoming) {
        self.chains = chains
        self.path = path
    }

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
    /// Where iptables' rules meet a packet, in this order; the last is the one that decides.
    static func hooks(_ path: PacketPath) -> [(String, String)] {
        let last = path == .incoming ? "INPUT" : "FORWARD"
        return [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", last), ("filter", last)]
    }

    /// The rules of one family, as iptables-save prints them with counters.
    ///
    /// - Parameters:
    ///   - rules: the rules.
    ///   - path: the packets' way.
    package init(_ rules: RuleSet, path: PacketPath = .incoming) {
        var bases: [Chain] = []
        var others: [Chain] = []
        for table in rules.tables {
            var byChain: [String: [CountedRule]] = [:]
            for rule in table.rules {
                byChain[rule.chain, default: []].append(CountedRule(rule, table: table.name).on(path))
            }
            let names = table.chains.map(\.name) + byChain.keys.filter { table.chain($0) == nil }.sorted()
            for name in names {
                others.append(Chain(table: table.name, name: name, rules: byChain[name] ?? []))
            }
        }
        for (table, hook) in Self.hooks(path) {
            let isDeciding = table == "filter"
            let declared = rules[table]?.chain(hook)
            guard let index = others.firstIndex(where: { $0.table == table && $0.name == hook }) else { continue }
            var chain = others.remove(at: index)
            chain.base = Base(
                policy: declared?.policy ?? .accept, policyPackets: declared?.counters.packets, isDeciding: isDeciding)
            bases.append(chain)
        }
        self.init(chains: bases + others, path: path)
    }
}
