import Netfilter

/// One family's input for iptables-restore.
package struct RestoreInput: Sendable, Equatable {
    /// In iptables-save's format; "" for nothing to load.
    package var text: String
    /// Whether the tables it names are emptied first; without it only what it says changes.
    package var flush: Bool
    /// Whether the counters in it are set.
    package var counters: Bool
}

/// The chain INPUT of the table filter.
package struct InputChain: Sendable, Equatable {
    /// What becomes of a packet that no rule decides.
    package var policy: ChainPolicy
    /// Its rules, in order.
    package var rules: [Rule]

    /// The chain in a rule set; one that is not there accepts everything.
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

    /// What makes INPUT hold these rules and touches nothing else; its policy is set only where it drops.
    var restoreInput: RestoreInput {
        let policy = policy == .drop ? [":INPUT DROP \(Counters.zero.text)"] : []
        let lines = ["*filter"] + policy + ["-F INPUT"] + rules.map(\.withoutCounters.text) + ["COMMIT"]
        return RestoreInput(text: lines.joined(separator: "\n") + "\n", flush: false, counters: false)
    }
}

/// What a change, its revert and the last resort do to the rules of one family.
///
/// Nothing here touches the kernel.
package enum RuleEdits {
    /// What to load when the snapshot cannot be put back: SSH and the admins come in ahead of all else.
    ///
    /// - Parameters:
    ///   - family: only the admins of this family are named.
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

    /// The rules of that opening as iptables takes them, each to be put ahead of all others, one after the other.
    static func emergencyRules(family: Family, sshPorts: [UInt16], admins: [String]) -> [[String]] {
        let networks = admins.compactMap { try? CIDR(parsing: $0) }.filter { $0.family == family }
        let matches =
            [["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]] + networks.map { ["-s", $0.canonical] }
            + sshPorts.map { ["-p", "tcp", "-m", "tcp", "--dport", "\($0)"] }
        return matches.map {
            $0 + ["-m", "comment", "--comment", "\(Rule.ownershipPrefix)emergency opening", "-j", "ACCEPT"]
        }
    }

    /// Whether the rules of an emergency opening stand ahead of all others.
    package static func isOpened(_ live: RuleSet, by opening: RestoreInput) -> Bool {
        guard let inserted = try? RuleSet(parsing: opening.text, file: "opening").normalized() else { return false }
        let wanted = InputChain(of: inserted).rules
        return InputChain(of: live).rules.prefix(wanted.count).map(\.withoutCounters) == wanted
    }

    /// Whether live rules have drifted from those that were kept: no longer do what these say.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - kept: the record of the rules that should be active; where it is INPUT alone, jumps into other
    ///     programs' chains are not latchkey's, and its policy only where it drops.
    /// - Returns: true when somebody should look.
    package static func hasDrifted(live: RuleSet, from kept: RuleSet) -> Bool {
        kept.tables.contains { table in
            guard table.isInputAlone else { return only(table.name, of: live) != only(table.name, of: kept) }
            let chains = userChains(in: live)
            let found = InputChain(of: live).rules.filter { !isForeignJump($0, chains) }
            let wanted = InputChain(of: kept)
            return found.map(\.body) != wanted.rules.map(\.body)
                || wanted.policy == .drop && InputChain(of: live).policy != .drop
        }
    }

    /// The rules of a machine once a plan is kept, as far as they can be told ahead of it.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: how far it reaches.
    ///   - live: the rules that are active now.
    /// - Returns: for a person to compare with what is there.
    package static func outcome(_ plan: RuleSet, scope: ChangeScope, live: RuleSet) -> RuleSet {
        PermanentRules(WantedRules(plan, scope: scope), insteadOf: live).outcome(over: live)
    }

    /// The rules in INPUT that are neither latchkey's nor jumps into another program's chain.
    ///
    /// - Parameter live: the rules that are active now.
    /// - Returns: what a change with `inputChain` replaces.
    package static func unowned(in live: RuleSet) -> [Rule] {
        let chains = userChains(in: live)
        return InputChain(of: live).rules.filter { !$0.isOwned && !isForeignJump($0, chains) }
    }

    // MARK: - Pieces

    /// Tables as a whole: each of them as `whole` has it.
    static func tablesText(_ names: [String], from set: RuleSet) -> String {
        names.map { name in
            let lines = ["*\(name)"] + whole(name, of: set).entries.map(\.text) + ["COMMIT"]
            return lines.joined(separator: "\n") + "\n"
        }.joined()
    }

    /// A table with every chain of the kernel's own: one that is not named would keep what it has, and a table that a
    /// snapshot does not know was made by the change and is emptied.
    static func whole(_ name: String, of set: RuleSet) -> Table {
        let table = set[name]
        let entries = (table?.entries ?? []).filter { if case .note = $0.statement { false } else { true } }
        return Table(name, entries: missingChains(name, in: table).map { Entry(.chain($0)) } + entries)
    }

    /// The kernel's own chains that a table does not name, open.
    private static func missingChains(_ name: String, in table: Table?) -> [Chain] {
        (Chain.builtIn(ofTable: name) ?? []).filter { table?.chain($0) == nil }.map { Chain($0, policy: .accept) }
    }

    private static func only(_ table: String, of set: RuleSet) -> RuleSet {
        RuleSet(tables: set[table].map { [$0] } ?? []).normalized()
    }

    /// Whether a rule leads into another program's chain.
    ///
    /// - Parameters:
    ///   - rule: a rule of the table filter.
    ///   - chains: the names that `userChains` gives.
    /// - Returns: whether it does.
    static func isForeignJump(_ rule: Rule, _ chains: Set<String>) -> Bool {
        guard !rule.isOwned, let chain = rule.jumpsTo else { return false }
        return chains.contains(chain)
    }

    /// The chains of the table filter that are not the kernel's own.
    static func userChains(in set: RuleSet) -> Set<String> {
        Set((set["filter"]?.chains ?? []).filter { $0.policy == nil }.map(\.name))
    }
}
