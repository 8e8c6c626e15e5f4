import Netfilter

/// The rules of a filter table by which latchkey decides about published ports.
struct PublishedRules: Equatable {
    /// The rules of latchkey's own chain; nil if there is no such chain.
    var rules: [Rule]?
    /// The rules that lead there, by the chain that they are in.
    var jumps: [String: [Rule]] = [:]

    /// The rules in a table, without those of a trial.
    init(in table: Table?) {
        guard let table else { return }
        let chains = table.rulesByChain
        if table.chain(PublishedChains.own) != nil {
            rules = (chains[PublishedChains.own] ?? []).filter { !$0.isGate }
        }
        for name in PublishedChains.shared {
            let own = (chains[name] ?? []).filter { $0.isOwned && !$0.isGate }
            if !own.isEmpty { jumps[name] = own }
        }
    }

    /// Whether there are none.
    var isEmpty: Bool { rules == nil && jumps.isEmpty }

    /// Whether both decide the same.
    static func == (left: Self, right: Self) -> Bool {
        left.rules?.map(\.body) == right.rules?.map(\.body)
            && left.jumps.mapValues { $0.map(\.body) } == right.jumps.mapValues { $0.map(\.body) }
    }

    /// The chains of a table of its own: latchkey's, and Docker's if a rule in it leads there.
    var chains: [Chain] {
        (rules == nil ? [] : [Chain(PublishedChains.own)])
            + (jumps[PublishedChains.dockerUser] == nil ? [] : [Chain(PublishedChains.dockerUser)])
    }

    /// All rules: those that lead to latchkey's chain, and its own.
    var all: [Rule] { PublishedChains.shared.flatMap { jumps[$0] ?? [] } + (rules ?? []) }
}

extension Table {
    /// The same table with other rules about published ports; those of other programs stay.
    func with(published: PublishedRules) -> Table {
        let isOwn = { (rule: Rule) in
            rule.chain == PublishedChains.own || (PublishedChains.shared.contains(rule.chain) && rule.isOwned)
        }
        let others = rules.filter { !isOwn($0) }
        let isDockerUserUsed =
            published.jumps[PublishedChains.dockerUser] != nil
            || others.contains { $0.chain == PublishedChains.dockerUser || $0.jumpsTo == PublishedChains.dockerUser }
        let stays = chains.filter { chain in
            chain.name != PublishedChains.own && (chain.name != PublishedChains.dockerUser || isDockerUserUsed)
        }
        let added = published.chains.filter { chain in !stays.contains { $0.name == chain.name } }
        let input = others.filter { $0.chain == "INPUT" }
        return Table(name, chains: stays + added, rules: input + published.all + others.filter { $0.chain != "INPUT" })
    }
}
