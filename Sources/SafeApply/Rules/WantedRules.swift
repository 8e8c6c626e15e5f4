import Netfilter

/// The content that the chains of a change should have once it is kept, in one family.
struct WantedRules: Sendable, Equatable {
    /// One chain.
    struct WantedChain: Sendable, Equatable {
        let name: String
        /// The policy of a built-in chain; nil if it does not change or does not exist.
        let policy: ChainPolicy?
        let counters: Counters
        let rules: [Rule]
    }

    /// One table.
    struct WantedTable: Sendable, Equatable {
        let name: String
        /// The built-in chains.
        let base: [WantedChain]
        /// The user-defined chains.
        let user: [WantedChain]
        /// Other programs' chains in which only the rules with latchkey's comment change, at the head of the chain.
        var shared: [WantedChain] = []
        /// Whether the table should contain nothing else; otherwise only these chains change, and their jumps into other
        /// programs' chains stay.
        let isWhole: Bool
        /// What goes from it, if it is only a removal, which names no chains; otherwise nil.
        var removal: RuleRemoval?
    }

    let tables: [WantedTable]
    /// The programs that the change takes over: their jumps from INPUT go.
    let taking: Set<String>

    /// The wanted content for a plan.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: its scope.
    ///   - taking: the programs that the change takes over.
    init(_ plan: RuleSet, scope: ChangeScope, taking: Set<String> = []) {
        self.taking = taking
        switch scope {
        case .inputChain, .inputAndPolicy:
            let rules = plan["filter"]?.rulesByChain["INPUT"] ?? []
            let policy = scope == .inputAndPolicy ? plan["filter"]?.chain("INPUT")?.policy : nil
            tables = [Self.input(rules, policy: policy, published: plan["filter"])]
        case .tables:
            var names: [String] = []
            for table in plan.tables where !names.contains(table.name) { names.append(table.name) }
            tables = names.map { Self.whole($0, plan[$0]) }
        case .removal:
            let removal = RuleRemoval(plan)
            tables = plan.tables.map {
                WantedTable(name: $0.name, base: [], user: [], isWhole: false, removal: removal)
            }
        }
    }

    /// The wanted content for a rollback: the previous rules, within the scope of the change.
    ///
    /// A jump into another program's chain that is missing now was removed by its owner, and is not restored, unless the
    /// change itself took it away.
    ///
    /// - Parameters:
    ///   - previous: the previous rules.
    ///   - plan: the rules of the change.
    ///   - scope: the scope of the change.
    ///   - live: the rules as they are now.
    ///   - taking: the programs that the change took over, which run again.
    init(previous: RuleSet, plan: RuleSet, scope: ChangeScope, live: RuleSet, taking: Set<String> = []) {
        self.taking = taking
        switch scope {
        case .inputChain, .inputAndPolicy:
            let present = Self.belowGate(live["filter"]?.rulesByChain["INPUT"] ?? [])
            let chains = RuleEdits.userChains(in: previous)
            let staying = RuleEdits.userChains(in: live, taking: taking)
            let taken = RuleEdits.userChains(in: live).subtracting(staying)
            let rules = (previous["filter"]?.rulesByChain["INPUT"] ?? []).filter {
                !RuleEdits.isForeignJump($0, chains) || RuleEdits.isForeignJump($0, taken)
                    || present.contains($0.body)
            }
            let policy = scope == .inputAndPolicy ? previous["filter"]?.chain("INPUT")?.policy : nil
            tables = [Self.input(rules, policy: policy, published: previous["filter"])]
        case .tables:
            tables = WantedRules(plan, scope: .tables).tables.map { Self.whole($0.name, previous[$0.name]) }
        case .removal:
            let removal = RuleRemoval(plan)
            tables = plan.tables.map { Self.restored(previous[$0.name] ?? Table($0.name, chains: []), live, removal) }
        }
    }

    /// The chains that a removal changed, with the previous rules in their order, as far as their owners have not removed
    /// them.
    private static func restored(_ previous: Table, _ live: RuleSet, _ removal: RuleRemoval) -> WantedTable {
        let rules = previous.rulesByChain
        let present = live[previous.name]?.rulesByChain ?? [:]
        let changed = removal.chains(of: previous) + removal.goneChains(of: previous)
        let chains = previous.chains.filter { changed.contains($0.name) }.map { chain in
            let others = belowGate(present[chain.name] ?? [])
            return WantedChain(
                name: chain.name, policy: chain.policy, counters: chain.counters,
                rules: (rules[chain.name] ?? []).filter {
                    removal.goes($0, from: previous.name) || others.contains($0.body)
                })
        }
        return WantedTable(
            name: previous.name, base: chains.filter { $0.policy != nil }, user: chains.filter { $0.policy == nil },
            isWhole: false)
    }

    /// The filter table of which only INPUT and what decides about published ports are latchkey's.
    private static func input(_ rules: [Rule], policy: ChainPolicy?, published table: Table?) -> WantedTable {
        let published = PublishedRules(in: table)
        func chain(_ name: String, _ rules: [Rule]) -> WantedChain {
            WantedChain(name: name, policy: nil, counters: .zero, rules: rules)
        }
        return WantedTable(
            name: "filter", base: [WantedChain(name: "INPUT", policy: policy, counters: .zero, rules: rules)],
            user: published.rules.map { [chain(PublishedChains.own, $0)] } ?? [],
            shared: PublishedChains.shared.map { chain($0, published.jumps[$0] ?? []) }, isWhole: false)
    }

    /// The rules of a chain after its gate; those ahead of it stay where they are.
    private static func belowGate(_ rules: [Rule]) -> Set<String> {
        let place = rules.lastIndex(where: \.isGate).map { $0 + 1 } ?? 0
        return Set(rules[place...].map(\.body))
    }

    private static func whole(_ name: String, _ table: Table?) -> WantedTable {
        let rules = table?.rulesByChain ?? [:]
        let own = Chain.builtIn(ofTable: name) ?? []
        let base = own.map { chain in
            let declared = table?.chain(chain)
            return WantedChain(
                name: chain, policy: declared?.policy ?? .accept, counters: declared?.counters ?? .zero,
                rules: rules[chain] ?? [])
        }
        let user = (table?.chains ?? []).filter { !own.contains($0.name) }.map { chain in
            WantedChain(name: chain.name, policy: nil, counters: .zero, rules: rules[chain.name] ?? [])
        }
        return WantedTable(name: name, base: base, user: user, isWhole: true)
    }
}

extension Table {
    /// The rules of every chain that has any, in order.
    var rulesByChain: [String: [Rule]] { Dictionary(grouping: rules, by: \.chain) }
}
