import Netfilter

/// One family's input for iptables-restore.
package struct RestoreInput: Sendable, Equatable {
    /// In iptables-save's format.
    package var text: String
    /// Whether the tables it names are emptied first; without it only the chains it names change.
    package var flush: Bool
    /// Whether the counters in it are set; each rule and policy must have some then.
    package var counters: Bool
    /// What stands in INPUT afterwards, when only INPUT changes; nil when whole tables do.
    package var inputChain: InputChain?
}

/// The chain INPUT of the table filter.
package struct InputChain: Sendable, Equatable {
    /// What becomes of a packet that no rule decides.
    package var policy: Policy
    /// Its rules, in order.
    package var rules: [Rule]

    /// The chain in a rule set; one that is not there accepts everything.
    package init(of set: RuleSet) {
        let table = set["filter"]
        policy = table?.chains.first { $0.name == "INPUT" }?.policy ?? .accept
        rules = table?.rules.filter { $0.chain == "INPUT" } ?? []
    }

    /// A chain of these rules.
    package init(policy: Policy, rules: [Rule]) {
        self.policy = policy
        self.rules = rules
    }

    /// Whether both decide alike: counters aside.
    package func isEquivalent(to other: InputChain) -> Bool {
        policy == other.policy && rules.map(\.withoutCounters) == other.rules.map(\.withoutCounters)
    }

    /// Whether it decides as another one does but for rules of other programs between that one's.
    func holds(_ other: InputChain) -> Bool {
        var rest = other.rules.map(\.withoutCounters)[...]
        for rule in rules.map(\.withoutCounters) {
            if rule == rest.first { rest.removeFirst() } else if rule.isOwned { return false }
        }
        return policy == other.policy && rest.isEmpty
    }

    /// One transaction that makes INPUT this chain and touches nothing else.
    var restoreInput: RestoreInput {
        let zero = Counters.zero
        let lines =
            ["*filter", ":INPUT \(policy.rawValue) \(zero.text)", "-F INPUT"]
            + rules.map { rule in
                var counted = rule
                counted.counters = rule.counters ?? zero
                return counted.text
            } + ["COMMIT"]
        return RestoreInput(
            text: lines.joined(separator: "\n") + "\n", flush: false, counters: true, inputChain: self)
    }
}

/// What a change, its revert and the last resort do to the rules of one family.
///
/// Nothing here touches the kernel.
package enum RuleEdits {
    /// What to load so that a plan is in force.
    ///
    /// - Parameters:
    ///   - plan: the rules to put in force.
    ///   - scope: how far the change reaches.
    ///   - live: the rules that are in force now.
    /// - Returns: the input for iptables-restore.
    package static func apply(_ plan: RuleSet, scope: ChangeScope, live: RuleSet) -> RestoreInput {
        switch scope {
        case .tables:
            return RestoreInput(
                text: tablesText(plan.tables.map(\.name), from: plan), flush: true, counters: true, inputChain: nil)
        case .inputChain:
            let planned = InputChain(of: plan)
            let jumps = InputChain(of: live).rules.filter { isForeignJump($0, in: live) }
            return InputChain(policy: planned.policy, rules: jumps + planned.rules).restoreInput
        }
    }

    /// What to load so that rules a person wrote are in force: line for line as they stand.
    ///
    /// The kernel's own chains that a table does not declare come ahead of everything in it, so that a `-P` line still
    /// has the last word.
    ///
    /// - Parameters:
    ///   - rules: what stands in the file.
    ///   - until: when the kernel itself stops dropping; nil for the permanent form.
    /// - Returns: the input for iptables-restore.
    package static func asWritten(_ rules: RuleSet, until: Int64?) -> RestoreInput {
        let text = written(rules, until: until).map(\.text).joined(separator: "\n")
        return RestoreInput(text: text, flush: true, counters: false, inputChain: nil)
    }

    /// The line of a person's file that a line of `asWritten` stands for.
    ///
    /// - Parameters:
    ///   - line: counted from 1, as a tool names it.
    ///   - rules: what stands in the file.
    ///   - until: as `asWritten` was given.
    /// - Returns: the line that they know.
    package static func writtenLine(_ line: Int, of rules: RuleSet, until: Int64?) -> Int {
        let lines = written(rules, until: until)
        return lines.indices.contains(line - 1) ? lines[line - 1].number : line
    }

    /// The lines to load, each with the number of the line in the file that it is there for.
    private static func written(_ rules: RuleSet, until: Int64?) -> [(text: String, number: Int)] {
        let form = until.map { Expiry.pending(rules, until: $0) } ?? rules
        var lines: [(text: String, number: Int)] = []
        var number = 0
        for line in form.text.split(separator: "\n", omittingEmptySubsequences: false) {
            if (try? Rule(parsing: String(line))).map(Expiry.isLast) != true { number += 1 }
            lines.append((String(line), number))
            guard line.hasPrefix("*") else { continue }
            let table = line.dropFirst().filter { !$0.isWhitespace }
            lines += missingChains(table, in: rules[table]).map { ($0.text, number) }
        }
        return lines
    }

    /// What to load so that the rules of a snapshot are back.
    ///
    /// With `inputChain` what other programs changed in the meantime stays: their new rules in INPUT, and the
    /// removal of their old ones. Only when none of the plan's rules is left was INPUT emptied as a whole, and then
    /// all of the snapshot's rules come back.
    ///
    /// - Parameters:
    ///   - snapshot: the rules before the change.
    ///   - plan: the rules of the change.
    ///   - scope: how far the change reached.
    ///   - live: the rules that are in force now.
    /// - Returns: the input for iptables-restore.
    package static func revert(
        to snapshot: RuleSet, plan: RuleSet, scope: ChangeScope, live: RuleSet
    ) -> RestoreInput {
        switch scope {
        case .tables:
            return RestoreInput(
                text: tablesText(plan.tables.map(\.name), from: snapshot), flush: true, counters: true,
                inputChain: nil)
        case .inputChain:
            return earlierInput(snapshot: snapshot, plan: plan, live: live).restoreInput
        }
    }

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
            text: "*filter\n\(lines.joined())COMMIT\n", flush: false, counters: false, inputChain: nil)
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

    /// How live rules differ from what a restore should have made of them; empty when they are the same.
    ///
    /// What another program has put into INPUT since it was loaded is no difference.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - input: what was loaded.
    /// - Returns: one text a difference.
    package static func differences(live: RuleSet, from input: RestoreInput) -> [String] {
        if let chain = input.inputChain {
            return InputChain(of: live).holds(chain)
                ? [] : ["filter INPUT is not what was loaded into it"]
        }
        guard let wanted = try? RuleSet(dumped: input.text, file: "restore") else {
            return ["the rules to compare with cannot be read"]
        }
        return wanted.tables.compactMap { table in
            only(table.name, of: live) == only(table.name, of: wanted)
                ? nil : "the table \(table.name) is not what was loaded into it"
        }
    }

    /// Whether live rules have drifted from those that were kept: no longer do what these say.
    ///
    /// - Parameters:
    ///   - live: a fresh dump.
    ///   - kept: the record of the rules that should be in force; where it is INPUT alone, jumps into other programs'
    ///     chains are their own affair.
    /// - Returns: true when somebody should look.
    package static func hasDrifted(live: RuleSet, from kept: RuleSet) -> Bool {
        kept.tables.contains { table in
            guard table.isInputAlone else { return only(table.name, of: live) != only(table.name, of: kept) }
            var found = InputChain(of: live)
            found.rules.removeAll { isForeignJump($0, in: live) }
            return !found.isEquivalent(to: InputChain(of: kept))
        }
    }

    /// The rules of a machine after an apply, as far as they can be told ahead of it.
    ///
    /// - Parameters:
    ///   - plan: the rules to put in force.
    ///   - scope: how far the change reaches.
    ///   - live: the rules that are in force now.
    /// - Returns: for a person to compare with what is there.
    package static func outcome(_ plan: RuleSet, scope: ChangeScope, live: RuleSet) -> RuleSet {
        var after = live
        let input = apply(plan, scope: scope, live: live)
        if let chain = input.inputChain {
            var table = live["filter"] ?? Table("filter", chains: [])
            table.replaceChain("INPUT", policy: chain.policy, rules: chain.rules)
            after["filter"] = table
        } else {
            for table in plan.tables { after[table.name] = table }
        }
        return after
    }

    /// The rules in INPUT that are neither latchkey's nor jumps into another program's chain.
    ///
    /// - Parameter live: the rules that are in force now.
    /// - Returns: what a change with `inputChain` replaces.
    package static func unowned(in live: RuleSet) -> [Rule] {
        InputChain(of: live).rules.filter { !$0.isOwned && !isForeignJump($0, in: live) }
    }

    // MARK: - Pieces

    private static func earlierInput(snapshot: RuleSet, plan: RuleSet, live: RuleSet) -> InputChain {
        let planned = Set(InputChain(of: plan).rules.map(\.withoutCounters))
        let earlier = InputChain(of: snapshot)
        let present = InputChain(of: live).rules
        func isPlanned(_ rule: Rule) -> Bool { planned.contains(rule.withoutCounters) }

        // A jump that the change left in place and that is gone now was taken away by its owner.
        let emptied = !present.contains(where: isPlanned)
        var left = present.map(\.withoutCounters)
        var rules: [Rule] = []
        for rule in earlier.rules {
            if let index = left.firstIndex(of: rule.withoutCounters) {
                left.remove(at: index)
                rules.append(rule)
            } else if let chain = rule.jumpsTo, hasUserChain(chain, in: snapshot) {
                if emptied, hasUserChain(chain, in: live) { rules.append(rule) }
            } else {
                rules.append(rule)
            }
        }

        // What others added inside the window stays: ahead of everything where it was put ahead, else at the end. A
        // rule that iptables-restore does not take cannot: with it in the way nothing at all would come back.
        let known = Set(earlier.rules.map(\.withoutCounters))
        let firstPlanned = present.firstIndex(where: isPlanned) ?? present.endIndex
        func added(_ part: ArraySlice<Rule>) -> [Rule] {
            part.filter { !$0.isOwned && $0.isRestorable && !known.contains($0.withoutCounters) }
        }
        return InputChain(
            policy: earlier.policy, rules: added(present[..<firstPlanned]) + rules + added(present[firstPlanned...]))
    }

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

    static func isForeignJump(_ rule: Rule, in set: RuleSet) -> Bool {
        guard !rule.isOwned, let chain = rule.jumpsTo else { return false }
        return hasUserChain(chain, in: set)
    }

    private static func hasUserChain(_ name: String, in set: RuleSet) -> Bool {
        set["filter"]?.chains.contains { $0.name == name && $0.policy == nil } ?? false
    }
}
