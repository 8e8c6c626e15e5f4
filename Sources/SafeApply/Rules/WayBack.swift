import Host
import Netfilter

/// Whether the rules that a change would have to rewrite can be written at all.
///
/// iptables-save does not always print what is there: a rule made with nft that looks into a set comes out without the
/// set, and what is printed at times cannot be loaded, or loads as something else. So the rules are loaded in a
/// throwaway network and read again; where nft is at hand, the kernel's own listings are compared too.
struct WayBack {
    let kernel: LiveRules
    /// What `ipset save` prints.
    let sets: String

    /// Refuses a change whose way back leads over a rule that cannot be written truthfully.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: how far it reaches.
    ///   - trial: its trial, which copies some of the present rules.
    ///   - live: the rules that are active now.
    ///   - family: whose rules.
    /// - Throws: `untruthful` with the first such rule.
    func check(
        _ plan: RuleSet, scope: ChangeScope, trial: Trial, live: RuleSet, _ family: Family
    ) async throws(ChangeError) {
        let tables = trial.tables.compactMap { Self.atRisk(in: live, table: $0.name, scope: scope) }
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

    /// The part of a table that would have to be written from a dump; nil for nothing.
    private static func atRisk(in live: RuleSet, table name: String, scope: ChangeScope) -> Table? {
        guard let table = live[name], !table.rules.isEmpty else { return nil }
        guard scope == .inputChain else {
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

    private static func compare(_ table: Table, _ copy: Table?, _ family: Family) throws(ChangeError) {
        let copies = copy?.rulesByChain ?? [:]
        for (chain, rules) in table.rulesByChain.sorted(by: { $0.key < $1.key }) {
            let found = copies[chain] ?? []
            for (index, rule) in rules.enumerated()
            where !found.indices.contains(index) || found[index].body != rule.body {
                throw untruthful(family, rule, "Loaded again, it would be another rule.")
            }
        }
    }

    /// What the kernel itself says of the rules and of their copies.
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
        // Some rules of iptables make nft itself crash; then the two dumps alone have to do.
        guard listings.0.status == 0, listings.1.status == 0 else { return }
        let own = Self.rules(in: listings.0.text)
        let copies = Self.rules(in: listings.1.text)
        let present = live[table.name]?.rulesByChain ?? [:]
        for (chain, rules) in table.rulesByChain.sorted(by: { $0.key < $1.key }) {
            let all = present[chain] ?? []
            guard let listed = own[chain], listed.count == all.count, let copied = copies[chain] else {
                throw .unreadable(
                    family: family, tables: [table.name],
                    reason: "nft lists other rules in the chain \(chain) than iptables prints.")
            }
            // The rules at risk are a part of the chain, in the chain's order.
            var next = 0
            for (index, rule) in rules.enumerated() {
                while next < all.count, all[next].body != rule.body { next += 1 }
                guard next < all.count, copied.indices.contains(index), listed[next] == copied[index] else {
                    throw Self.untruthful(
                        family, rule,
                        "The rule itself is another one"
                            + (next < listed.count ? " (nft: \(listed[next].quoted(limit: 120)))." : "."))
                }
                next += 1
            }
        }
    }

    /// The lines of each chain's rules in what nft prints of a table.
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
            } else if let name = chain, line.hasPrefix("\t\t"), !line.hasPrefix("\t\ttype ") {
                rules[name]?.append(String(line.dropFirst(2)))
            }
        }
        return rules
    }

    private static func untruthful(_ family: Family, _ rule: Rule, _ reason: String) -> ChangeError {
        .untruthful(family: family, rule: rule.withoutCounters.text, reason: reason)
    }
}
