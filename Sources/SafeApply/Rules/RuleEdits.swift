import Host
import Netfilter

/// One family's input for iptables-restore.
package struct RestoreInput: Sendable, Equatable {
    /// The rules in iptables-save format; "" for nothing to load.
    package var text: String
    /// Whether the tables it names are flushed first.
    package var flush: Bool
    /// Whether its counters are loaded too.
    package var counters: Bool
}

/// The chain INPUT of the table filter.
package struct InputChain: Sendable, Equatable {
    /// The policy for packets that no rule decides.
    package var policy: ChainPolicy
    /// Its rules, in order.
    package var rules: [Rule]

    /// The chain in a rule set; a missing one accepts everything.
    package init(of set: RuleSet) {
        let table = set["filter"]
        policy = table?.chains.first { $0.name == "INPUT" }?.policy ?? .accept
        rules = table?.rules.filter { $0.chain == "INPUT" } ?? []
    }

    /// A chain of these rules.
    package init(policy: ChainPolicy, rules: [Rule]) {
        self.policy = policy
        self.rules = rules
    }

    /// The input that replaces only the rules of INPUT; it sets the policy only if that is DROP.
    var restoreInput: RestoreInput {
        let policy = policy == .drop ? [":INPUT DROP \(Counters.zero.text)"] : []
        let lines = ["*filter"] + policy + ["-F INPUT"] + rules.map(\.withoutCounters.text) + ["COMMIT"]
        return RestoreInput(text: lines.joined(separator: "\n") + "\n", flush: false, counters: false)
    }
}

/// The rules of one family for a change, its rollback and the emergency opening; pure code.
package enum RuleEdits {
    /// The input for the emergency opening: it allows SSH and the admins ahead of all other rules.
    ///
    /// - Parameters:
    ///   - family: the family; admins of the other one are ignored.
    ///   - sshPorts: the ports sshd listens on.
    ///   - admins: addresses and networks of both families.
    /// - Returns: the input for iptables-restore.
    package static func emergencyOpening(family: Family, sshPorts: [UInt16], admins: [String]) -> RestoreInput {
        let rules = emergencyRules(family: family, sshPorts: sshPorts, admins: admins)
        let lines = rules.map { words in
            "-I INPUT 1 " + words.map { $0.contains(" ") ? "\"\($0)\"" : $0 }.joined(separator: " ") + "\n"
        }
        return RestoreInput(
            text: "*filter\n\(lines.joined())COMMIT\n", flush: false, counters: false)
    }

    /// The rules of the emergency opening as arguments for iptables, to be inserted one after the other at the beginning.
    static func emergencyRules(family: Family, sshPorts: [UInt16], admins: [String]) -> [[String]] {
        let networks = admins.compactMap { try? CIDR(parsing: $0) }.filter { $0.family == family }
        let matches =
            [["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]] + networks.map { ["-s", $0.canonical] }
            + sshPorts.map { ["-p", "tcp", "-m", "tcp", "--dport", "\($0)"] }
        return matches.map {
            $0 + ["-m", "comment", "--comment", "\(Rule.ownershipPrefix)emergency opening", "-j", "ACCEPT"]
        }
    }

    /// Whether the rules of an emergency opening are ahead of all others.
    package static func isOpened(_ live: RuleSet, by opening: RestoreInput) -> Bool {
        let live = live.withoutTemporary
        guard let inserted = try? RuleSet(parsing: opening.text, file: "opening").normalized() else { return false }
        let wanted = InputChain(of: inserted).rules
        return InputChain(of: live).rules.prefix(wanted.count).map(\.withoutCounters) == wanted
    }

    /// Whether live rules have drifted from the kept ones.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - kept: the record of the rules that should be active; if it is only INPUT, jumps into other programs' chains are
    ///     ignored, and so is the policy unless it is DROP.
    /// - Returns: whether they differ.
    package static func hasDrifted(live: RuleSet, from kept: RuleSet) -> Bool {
        let live = live.withoutTemporary
        return kept.tables.contains { table in
            guard table.isInputAlone else { return only(table.name, of: live) != only(table.name, of: kept) }
            let chains = userChains(in: live)
            let found = InputChain(of: live).rules.filter { !isForeignJump($0, chains) }
            let wanted = InputChain(of: kept)
            return found.map(\.body) != wanted.rules.map(\.body)
                || wanted.policy == .drop && InputChain(of: live).policy != .drop
                || PublishedRules(in: live["filter"]) != PublishedRules(in: table)
        }
    }

    /// The rules of a machine after a plan is kept, as far as they can be predicted.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: its scope.
    ///   - live: the rules that are active now.
    /// - Returns: the rules, for a person to compare with the live ones.
    package static func outcome(_ plan: RuleSet, scope: ChangeScope, live: RuleSet) -> RuleSet {
        PermanentRules(WantedRules(plan, scope: scope), insteadOf: live).outcome(over: live)
    }

    /// The rules in INPUT that are neither latchkey's nor jumps into another program's chain.
    ///
    /// - Parameter live: the rules that are active now.
    /// - Returns: what a change with `inputChain` replaces.
    package static func unowned(in live: RuleSet) -> [Rule] {
        let chains = userChains(in: live)
        // Temporary entries are latchkey's, and no change replaces them.
        return InputChain(of: live).rules.filter { !$0.isOwned && !isForeignJump($0, chains) }
    }

    // MARK: - Helpers

    /// The text of complete tables; see `whole`.
    static func tablesText(_ names: [String], from set: RuleSet) -> String {
        names.map { name in
            let lines = ["*\(name)"] + whole(name, of: set).entries.map(\.text) + ["COMMIT"]
            return lines.joined(separator: "\n") + "\n"
        }.joined()
    }

    /// A table with all built-in chains: a chain that is not named would keep its rules, and a table that a snapshot does
    /// not contain was created by the change and is emptied.
    static func whole(_ name: String, of set: RuleSet) -> Table {
        let table = set[name]
        let entries = (table?.entries ?? []).filter { if case .note = $0.statement { false } else { true } }
        return Table(name, entries: missingChains(name, in: table).map { Entry(.chain($0)) } + entries)
    }

    /// The built-in chains that a table does not name, with the policy ACCEPT.
    private static func missingChains(_ name: String, in table: Table?) -> [Chain] {
        (Chain.builtIn(ofTable: name) ?? []).filter { table?.chain($0) == nil }.map { Chain($0, policy: .accept) }
    }

    private static func only(_ table: String, of set: RuleSet) -> RuleSet {
        RuleSet(tables: set[table].map { [$0] } ?? []).normalized()
    }

    /// Whether a rule jumps into another program's chain.
    ///
    /// - Parameters:
    ///   - rule: a rule of the table filter.
    ///   - chains: the names that `userChains` gives.
    /// - Returns: whether it does.
    static func isForeignJump(_ rule: Rule, _ chains: Set<String>) -> Bool {
        guard !rule.isOwned, let chain = rule.jumpsTo else { return false }
        return rule.isTemporary || chains.contains(chain)
    }

    /// The chains of the filter table that are not built-in.
    ///
    /// - Parameters:
    ///   - set: the rules.
    ///   - taking: the programs that a change takes over: their chains are not counted.
    /// - Returns: the names.
    static func userChains(in set: RuleSet, taking: Set<String> = []) -> Set<String> {
        let chains = (set["filter"]?.chains ?? []).filter { $0.policy == nil }.map(\.name)
        guard !taking.isEmpty else { return Set(chains) }
        return Set(chains.filter { !KnownFirewall.owns(chain: $0, anyOf: taking) })
    }
}
