import Netfilter

/// The step from the rules of a trial to rules that stay, and the way back from it: one transaction a table.
///
/// What goes is what was there before the change and is not wanted. What others put in meanwhile stays.
struct PermanentRules {
    private let wanted: WantedRules
    private let previous: [String: [String: Set<String>]]
    private let previousChains: [String: Set<String>]

    /// The step to what is wanted.
    ///
    /// - Parameters:
    ///   - wanted: what the chains are to hold.
    ///   - earlier: rules that go where they are not wanted: those from before the change, or, on the way back, those
    ///     of the change.
    init(_ wanted: WantedRules, insteadOf earlier: RuleSet) {
        self.wanted = wanted
        previous = Dictionary(
            earlier.tables.map { ($0.name, $0.rulesByChain.mapValues { Set($0.map(\.body)) }) },
            uniquingKeysWith: { _, last in last })
        previousChains = Dictionary(
            earlier.tables.map { ($0.name, Set($0.chains.map(\.name))) }, uniquingKeysWith: { _, last in last })
    }

    /// The chains that it changes, by table; nil where these are whole tables.
    var places: [String: [String]]? {
        guard wanted.tables.allSatisfy({ !$0.isWhole }) else { return nil }
        return Dictionary(
            wanted.tables.map { ($0.name, ($0.base + $0.user).map(\.name)) }, uniquingKeysWith: { _, last in last })
    }

    /// What loads it.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - byPlace: whether rules are deleted by their places alone.
    /// - Returns: the input for iptables-restore.
    func loading(over live: RuleSet, byPlace: Bool = false) -> RestoreInput {
        let texts = wanted.tables.compactMap { table -> String? in
            let lines = edits(table, live, byPlace: byPlace).lines
            return lines.isEmpty ? nil : "*\(table.name)\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
        }
        return RestoreInput(text: texts.joined(), flush: false, counters: true)
    }

    /// The live rules that it removes or rewrites, by table: going back they would have to be written from a dump.
    func rewritten(in live: RuleSet) -> [String: [Rule]] {
        var all: [String: [Rule]] = [:]
        for table in wanted.tables {
            let rules = edits(table, live).rewritten
            if !rules.isEmpty { all[table.name] = rules }
        }
        return all
    }

    /// How live rules differ from what is wanted; empty when they are as wanted, but for what others put in.
    func differences(_ live: RuleSet) -> [String] {
        var found: [String] = []
        let others = RuleEdits.userChains(in: live)
        for table in wanted.tables {
            let present = live[table.name]?.rulesByChain ?? [:]
            for chain in table.base + table.user {
                let bodies = Set(chain.rules.map(\.body))
                let isRemovable = removable(chain, table, others)
                let own = (present[chain.name] ?? []).filter { bodies.contains($0.body) || isRemovable($0) }
                if own.map(\.body) != chain.rules.map(\.body) {
                    found.append("\(table.name) \(chain.name) does not hold the rules that were loaded into it")
                }
                let policy = live[table.name]?.chain(chain.name)?.policy ?? .accept
                if let wanted = chain.policy, wanted != policy {
                    found.append("\(table.name) \(chain.name) has the policy \(policy.rawValue)")
                }
            }
        }
        return found
    }

    /// The rules as they will be, for a person to compare with what is there.
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

    // MARK: - Pieces

    /// What of a chain is not wanted and goes.
    private func removable(
        _ chain: WantedRules.WantedChain, _ table: WantedRules.WantedTable, _ others: Set<String>
    ) -> (Rule) -> Bool {
        let earlier = previous[table.name]?[chain.name] ?? []
        return { rule in
            if rule.isGate { return false }
            if rule.isOwned { return true }
            if !table.isWhole, RuleEdits.isForeignJump(rule, others) { return false }
            return earlier.contains(rule.body)
        }
    }

    private func edits(
        _ table: WantedRules.WantedTable, _ live: RuleSet, byPlace: Bool = false
    ) -> (lines: [String], rewritten: [Rule]) {
        let present = live[table.name]
        let rules = present?.rulesByChain ?? [:]
        let there = Dictionary((present?.chains ?? []).map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
        let others = RuleEdits.userChains(in: live)
        var declarations: [String] = []
        var lines: [String] = []
        var rewritten: [Rule] = []
        for chain in table.base {
            if let policy = chain.policy, policy != there[chain.name]?.policy ?? .accept {
                declarations.append(":\(chain.name) \(policy.rawValue) \(chain.counters.text)")
            }
        }
        declarations += table.user.filter { there[$0.name] == nil }.map { ":\($0.name) - \(Counters.zero.text)" }
        for chain in table.base + table.user {
            let own = rules[chain.name] ?? []
            let wanted = Set(chain.rules.map(\.body))
            let isRemovable = removable(chain, table, others)
            // What stands ahead of the gate stays ahead; without one, what stands ahead of all that is latchkey's affair.
            let ahead =
                own.lastIndex(where: \.isGate)
                ?? (own.firstIndex { isRemovable($0) || wanted.contains($0.body) } ?? own.endIndex) - 1
            let earlier = previous[table.name]?[chain.name] ?? []
            let edit = ChainEdit(
                chain.name, present: own, wanted: chain.rules, byPlace: byPlace, isRemovable: isRemovable,
                isAnchor: { index, rule in
                    if index <= ahead { return true }
                    // Jumps that were there before come ahead of what is latchkey's.
                    return !table.isWhole && RuleEdits.isForeignJump(rule, others) && earlier.contains(rule.body)
                        && !wanted.contains(rule.body)
                })
            lines += edit.lines
            rewritten += edit.rewritten
        }
        if table.isWhole {
            let gone = unwantedChains(table, present, rules)
            lines += gone.map { "-F \($0)" } + gone.map { "-X \($0)" }
            rewritten += gone.flatMap { rules[$0] ?? [] }
        }
        return (declarations + lines, rewritten)
    }

    /// The chains from before that are not wanted, and that nothing which stays leads to.
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
