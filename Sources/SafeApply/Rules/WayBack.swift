import Host
import Netfilter

/// Checks before a change whether the rollback would be possible: whether the rules to rewrite can be written correctly.
///
/// iptables-save does not always print the real rules: it omits the set of a rule made with nft, and some of its output
/// cannot be loaded or loads as another rule. So the rules are loaded in a throwaway network and read again; if nft is
/// installed, its listings are compared too.
struct WayBack {
    let kernel: LiveRules
    /// What `ipset save` prints.
    let sets: String

    /// Refuses a change whose rollback would need a rule that cannot be written correctly.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: its scope.
    ///   - trial: its trial, which copies some of the present rules.
    ///   - live: the rules that are active now.
    ///   - family: the rules' family.
    /// - Throws: `untruthful` with the first such rule.
    func check(
        _ plan: RuleSet, scope: ChangeScope, trial: Trial, live: RuleSet, _ family: Family
    ) async throws(ChangeError) {
        let tables = trial.tables.compactMap { trial in
            scope == .removal
                ? live[trial.name].flatMap { Self.atRisk(in: $0, RuleRemoval(plan)) }
                : Self.atRisk(in: live, table: trial.name, scope: scope)
        }
        try await check(tables, live: live, family)
    }

    /// Refuses tables with a rule that cannot be written correctly.
    ///
    /// - Parameters:
    ///   - tables: the tables, or parts of them.
    ///   - live: the rules that are active now.
    ///   - family: the rules' family.
    /// - Throws: `untruthful` with the first such rule.
    func check(_ tables: [Table], live: RuleSet, _ family: Family) async throws(ChangeError) {
        guard !tables.isEmpty else { return }
        for table in tables {
            if let rule = table.rules.first(where: { !$0.isRestorable }) {
                throw Self.untruthful(family, rule, "iptables-restore cannot read it.")
            }
        }
        guard let there = await kernel.inThrowawayNetwork(sets: sets) else { return }
        let text = RuleSet(tables: tables).text
        do {
            try await there.load(RestoreInput(text: text, flush: false, counters: false), family)
        } catch .host(.rulesRefused(_, let line, let message)) {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let rule = line.flatMap { lines.indices.contains($0 - 1) ? String(lines[$0 - 1]) : nil }
            throw .untruthful(
                family: family, rule: rule ?? "", reason: "iptables-restore refuses it: \(LiveRules.plain(message)).")
        }
        let copy = try await there.read(family)
        for table in tables {
            try Self.compare(table, copy[table.name], family)
            try await compareListings(table, live, there, family)
        }
    }

    /// The part of a table that a rollback would have to write from a dump; nil for nothing.
    private static func atRisk(in live: RuleSet, table name: String, scope: ChangeScope) -> Table? {
        guard let table = live[name], !table.rules.isEmpty else { return nil }
        guard scope != .tables else {
            return Table(name, chains: table.chains, rules: table.rules)
        }
        let others = RuleEdits.userChains(in: live)
        let rules = (table.rulesByChain["INPUT"] ?? []).drop { RuleEdits.isForeignJump($0, others) }
            .filter { !$0.isOwned }
        guard !rules.isEmpty else { return nil }
        let targets = Set(rules.compactMap(\.jumpsTo)).intersection(others).sorted()
        return Table(
            name, chains: [Chain("INPUT", policy: .accept)] + targets.map { Chain($0) }, rules: rules)
    }

    /// The same for a removal: what it removes, and what its trial copies.
    private static func atRisk(in table: Table, _ removal: RuleRemoval) -> Table? {
        let changed = removal.chains(of: table)
        let others = Set(table.chains.filter { $0.policy == nil }.map(\.name))
        let all = table.rulesByChain
        let rules = changed.flatMap { chain in
            (all[chain] ?? []).drop {
                RuleEdits.isForeignJump($0, others) && !removal.goes($0, from: table.name)
            }.filter { !$0.isOwned }
        }
        guard !rules.isEmpty else { return nil }
        let named = Set(rules.map(\.chain) + rules.compactMap(\.jumpsTo))
        let chains = table.chains.filter { named.contains($0.name) }.map { chain in
            Chain(chain.name, policy: chain.policy.map { _ in .accept })
        }
        return Table(table.name, chains: chains, rules: rules)
    }

    private static func compare(_ table: Table, _ copy: Table?, _ family: Family) throws(ChangeError) {
        let copies = copy?.rulesByChain ?? [:]
        for (chain, rules) in table.rulesByChain.sorted(by: { $0.key < $1.key }) {
            let found = copies[chain] ?? []
            for (index, rule) in rules.enumerated()
            where !found.indices.contains(index) || found[index].body != rule.body {
                throw untruthful(family, rule, "Loading what iptables prints would create another rule.")
            }
        }
    }

    /// Compares nft's listings of the rules and of their copies.
    private func compareListings(
        _ table: Table, _ live: RuleSet, _ there: LiveRules, _ family: Family
    ) async throws(ChangeError) {
        guard let nft = kernel.nft, kernel.tools[family]?.backend == .nft else { return }
        let isInputAlone = table.chains.first?.name == "INPUT" && table.rulesByChain.keys.allSatisfy { $0 == "INPUT" }
        let place = [family == .ipv4 ? "ip" : "ip6", table.name] + (isInputAlone ? ["INPUT"] : [])
        let words = ["-s", "-n", "list", isInputAlone ? "chain" : "table"] + place
        let listings = try await ChangeError.wrap { () async throws(HostError) in
            (try await kernel.runner.run(Command(nft, words)), try await there.runner.run(Command(nft, words)))
        }
        // Some iptables rules make nft crash; then only the two dumps are compared.
        guard listings.0.status == 0, listings.1.status == 0 else { return }
        let own = Self.rules(in: listings.0.text)
        let copies = Self.rules(in: listings.1.text)
        let present = live[table.name]?.rulesByChain ?? [:]
        for (chain, rules) in table.rulesByChain.sorted(by: { $0.key < $1.key }) {
            let all = present[chain] ?? []
            guard let listed = own[chain], listed.count == all.count, let copied = copies[chain] else {
                throw .unreadable(
                    family: family, tables: [table.name],
                    reason: "nft and iptables show different rules in the chain \(chain).")
            }
            // The rules to check are a part of the chain, in its order.
            var next = 0
            for (index, rule) in rules.enumerated() {
                while next < all.count, all[next].body != rule.body { next += 1 }
                guard next < all.count, copied.indices.contains(index), listed[next] == copied[index] else {
                    throw Self.untruthful(
                        family, rule,
                        "The real rule is different"
                            + (next < listed.count ? " (nft: \(listed[next].quoted(limit: 120)))." : "."))
                }
                next += 1
            }
        }
    }

    /// The rules of each chain in nft's listing of a table.
    static func rules(in listing: String) -> [String: [String]] {
        var rules: [String: [String]] = [:]
        var chain: String?
        for line in listing.split(separator: "\n") {
            if line.hasPrefix("\tchain ") {
                let name = line.dropFirst("\tchain ".count).prefix { $0 != " " }
                chain = String(name)
                rules[String(name)] = []
            } else if line == "\t}" {
                chain = nil
            } else if let name = chain, line.hasPrefix("\t\t"), !line.hasPrefix("\t\ttype "),
                !TemporaryParts.chains.contains(where: { line.contains("jump \($0)") })
            {
                rules[name]?.append(String(line.dropFirst(2)))
            }
        }
        return rules
    }

    private static func untruthful(_ family: Family, _ rule: Rule, _ reason: String) -> ChangeError {
        .untruthful(family: family, rule: rule.withoutCounters.text, reason: reason)
    }
}

extension LiveRules {
    /// Refuses a filter table that iptables-save does not print correctly, for those who go by what it prints.
    ///
    /// - Parameters:
    ///   - rules: the rules that are active now.
    ///   - sets: what `ipset save` prints.
    ///   - family: the rules' family.
    /// - Throws: `untruthful` with the first rule that is really another one.
    package func requireTruthful(_ rules: RuleSet, sets: String, _ family: Family) async throws(ChangeError) {
        guard let table = rules["filter"], !table.rules.isEmpty else { return }
        let whole = Table("filter", chains: table.chains, rules: table.rules)
        try await WayBack(kernel: self, sets: sets).check([whole], live: rules, family)
    }
}
