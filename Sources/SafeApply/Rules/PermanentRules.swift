import Netfilter

/// The step from a trial to permanent rules, and its rollback: one transaction for each table.
///
/// It removes previous rules that are not wanted. Rules that other programs added in the meantime stay.
struct PermanentRules {
    private let wanted: WantedRules
    private let previous: [String: [String: Set<String>]]
    private let previousChains: [String: Set<String>]

    /// The step to the wanted rules.
    ///
    /// - Parameters:
    ///   - wanted: the wanted content of the chains.
    ///   - earlier: rules to remove unless they are wanted: the previous rules or, in a rollback, the rules of the change.
    init(_ wanted: WantedRules, insteadOf earlier: RuleSet) {
        self.wanted = wanted
        previous = Dictionary(
            earlier.tables.map { ($0.name, $0.rulesByChain.mapValues { Set($0.map(\.body)) }) },
            uniquingKeysWith: { _, last in last })
        previousChains = Dictionary(
            earlier.tables.map { ($0.name, Set($0.chains.map(\.name))) }, uniquingKeysWith: { _, last in last })
    }

    /// The chains that it changes, by table; nil if it changes whole tables.
    var places: [String: [String]]? {
        guard wanted.tables.allSatisfy({ !$0.isWhole && $0.removal == nil }) else { return nil }
        return Dictionary(
            wanted.tables.map { ($0.name, ($0.base + $0.user + $0.shared).map(\.name)) },
            uniquingKeysWith: { _, last in last })
    }

    /// The input that loads it.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - byPlace: whether rules are deleted only by number.
    /// - Returns: the input for iptables-restore.
    func loading(over live: RuleSet, byPlace: Bool = false) -> RestoreInput {
        let texts = wanted.tables.compactMap { table -> String? in
            let lines = edits(table, live, byPlace: byPlace).lines
            return lines.isEmpty ? nil : "*\(table.name)\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
        }
        return RestoreInput(text: texts.joined(), flush: false, counters: true)
    }

    /// The live rules that it removes or rewrites, by table: a rollback would have to write them from a dump.
    func rewritten(in live: RuleSet) -> [String: [Rule]] {
        var all: [String: [Rule]] = [:]
        for table in wanted.tables {
            let rules = edits(table, live).rewritten
            if !rules.isEmpty { all[table.name] = rules }
        }
        return all
    }

    /// How live rules differ from the wanted ones, ignoring rules of other programs; empty if they don't.
    func differences(_ live: RuleSet) -> [String] {
        var found: [String] = []
        let others = RuleEdits.userChains(in: live, taking: wanted.taking)
        for table in wanted.tables {
            if let removal = table.removal, let present = live[table.name] {
                let left = Set(removal.chains(of: present) + removal.goneChains(of: present)).sorted()
                found += left.map { "\(table.name) \($0) still contains rules that were removed" }
            }
            let present = live[table.name]?.rulesByChain ?? [:]
            for chain in table.base + table.user + table.shared {
                let bodies = Set(chain.rules.map(\.body))
                let isRemovable = removable(chain, table, others)
                let own = (present[chain.name] ?? []).filter { bodies.contains($0.body) || isRemovable($0) }
                if own.map(\.body) != chain.rules.map(\.body) {
                    found.append("\(table.name) \(chain.name) does not contain the rules that were loaded into it")
                }
                let policy = live[table.name]?.chain(chain.name)?.policy ?? .accept
                if let wanted = chain.policy, wanted != policy {
                    found.append("\(table.name) \(chain.name) has the policy \(policy.rawValue)")
                }
            }
        }
        return found
    }

    /// The rules after the step, for a person to compare with the live ones.
    func outcome(over live: RuleSet) -> RuleSet {
        var after = live.withoutTrial
        for table in wanted.tables {
            let present = after[table.name] ?? Table(table.name, chains: [])
            let edited = Table(
                table.name, entries: present.entries + commands(edits(table, after.withoutTrial).lines, table.name))
            after[table.name] = edited.normalized()
        }
        return after
    }

    private func commands(_ lines: [String], _ table: String) -> [Entry] {
        let text = "*\(table)\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
        return (try? RuleSet(dumped: text, file: "edit"))?[table]?.entries ?? []
    }

    // MARK: - Helpers

    /// Whether a rule of a chain is removed unless it is wanted.
    private func removable(
        _ chain: WantedRules.WantedChain, _ table: WantedRules.WantedTable, _ others: Set<String>
    ) -> (Rule) -> Bool {
        let earlier = previous[table.name]?[chain.name] ?? []
        let isShared = table.shared.contains(chain)
        return { rule in
            if rule.isGate { return false }
            if rule.isOwned { return true }
            if isShared { return false }
            if !table.isWhole, RuleEdits.isForeignJump(rule, others) { return false }
            return earlier.contains(rule.body)
        }
    }

    private func edits(
        _ table: WantedRules.WantedTable, _ live: RuleSet, byPlace: Bool = false
    ) -> (lines: [String], rewritten: [Rule]) {
        let present = live[table.name]
        if let removal = table.removal { return present.map { edits(removal, $0, byPlace: byPlace) } ?? ([], []) }
        let rules = present?.rulesByChain ?? [:]
        let there = Dictionary((present?.chains ?? []).map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
        let others = RuleEdits.userChains(in: live, taking: wanted.taking)
        var declarations: [String] = []
        var lines: [String] = []
        var rewritten: [Rule] = []
        for chain in table.base {
            if let policy = chain.policy, policy != there[chain.name]?.policy ?? .accept {
                declarations.append(":\(chain.name) \(policy.rawValue) \(chain.counters.text)")
            }
        }
        let isMissing = { (chain: WantedRules.WantedChain) in
            there[chain.name] == nil && Chain.builtIn(ofTable: table.name)?.contains(chain.name) != true
        }
        declarations += (table.user + table.shared.filter { !$0.rules.isEmpty }).filter(isMissing)
            .map { ":\($0.name) - \(Counters.zero.text)" }
        for chain in table.base + table.user + table.shared {
            let own = rules[chain.name] ?? []
            let wanted = Set(chain.rules.map(\.body))
            let isRemovable = removable(chain, table, others)
            // Rules before the gate stay in front; without a gate, rules before all rules that latchkey manages.
            let ahead =
                own.lastIndex(where: \.isGate)
                ?? (table.shared.contains(chain)
                    ? -1 : (own.firstIndex { isRemovable($0) || wanted.contains($0.body) } ?? own.endIndex) - 1)
            let earlier = previous[table.name]?[chain.name] ?? []
            let edit = ChainEdit(
                chain.name, present: own, wanted: chain.rules, byPlace: byPlace, isRemovable: isRemovable,
                isAnchor: { index, rule in
                    if index <= ahead { return true }
                    // Jumps from before the change come before latchkey's rules.
                    return !table.isWhole && !table.shared.contains(chain) && RuleEdits.isForeignJump(rule, others)
                        && earlier.contains(rule.body)
                        && !wanted.contains(rule.body)
                })
            lines += edit.lines
            rewritten += edit.rewritten
        }
        if table.isWhole {
            let gone = unwantedChains(table, present, rules)
            lines += gone.map { "-F \($0)" } + gone.map { "-X \($0)" }
            rewritten += gone.flatMap { rules[$0] ?? [] }
        } else {
            // iptables-nft 1.8.9 refuses to flush both and delete both: Docker's is empty without that.
            lines += Self.unwantedPublishedChains(table, present).flatMap { name in
                (name == PublishedChains.own ? ["-F \(name)"] : []) + ["-X \(name)"]
            }
        }
        return (declarations + lines, rewritten)
    }

    private func edits(
        _ removal: RuleRemoval, _ table: Table, byPlace: Bool
    ) -> (lines: [String], rewritten: [Rule]) {
        let rules = table.rulesByChain
        var lines = table.chains.compactMap { chain in
            removal.policy(of: chain.name, in: table).map { ":\(chain.name) \($0.rawValue) \(chain.counters.text)" }
        }
        var rewritten: [Rule] = []
        for chain in removal.chains(of: table) {
            let edit = ChainEdit(
                chain, present: rules[chain] ?? [], wanted: [], byPlace: byPlace,
                isRemovable: { !$0.isGate && removal.goes($0, from: table.name) }, isAnchor: { _, _ in false })
            lines += edit.lines
            rewritten += edit.rewritten
        }
        return (lines + removal.goneChains(of: table).map { "-X \($0)" }, rewritten)
    }

    /// The chains for published ports that nothing needs any more: latchkey's own, and Docker's if only latchkey's rules
    /// were in it and nothing leads there.
    private static func unwantedPublishedChains(_ table: WantedRules.WantedTable, _ present: Table?) -> [String] {
        guard let present, table.user.isEmpty else { return [] }
        let left = present.rules.filter { rule in
            rule.chain != PublishedChains.own && !(PublishedChains.shared.contains(rule.chain) && rule.isOwned)
                || rule.chain != PublishedChains.own && rule.isGate
        }
        let hadRules = present.rules.contains { $0.chain == PublishedChains.dockerUser && $0.isOwned && !$0.isGate }
        return [PublishedChains.dockerUser, PublishedChains.own].filter { name in
            present.chain(name) != nil && !left.contains { $0.jumpsTo == name }
                && (name == PublishedChains.own
                    || (hadRules && !left.contains { $0.chain == PublishedChains.dockerUser }))
        }
    }

    /// The chains from before the change that are not wanted, and that no remaining rule jumps to.
    private func unwantedChains(
        _ table: WantedRules.WantedTable, _ present: Table?, _ rules: [String: [Rule]]
    ) -> [String] {
        let wanted = Set((table.base + table.user).map(\.name))
        let own = (present?.chains ?? []).map(\.name).filter { !wanted.contains($0) }
        let earlier = own.filter { previousChains[table.name]?.contains($0) ?? false }
        var used: Set<String> = []
        var open = own.filter { !earlier.contains($0) }.flatMap { rules[$0] ?? [] }
        for chain in table.base + table.user {
            open += (rules[chain.name] ?? []).filter {
                !$0.isGate && !$0.isOwned && !(previous[table.name]?[chain.name]?.contains($0.body) ?? false)
            }
        }
        while let rule = open.popLast() {
            guard let chain = rule.jumpsTo, used.insert(chain).inserted else { continue }
            open += rules[chain] ?? []
        }
        return earlier.filter { !used.contains($0) }
    }
}
