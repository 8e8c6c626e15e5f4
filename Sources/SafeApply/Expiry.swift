import Host
import Netfilter

/// The kernel's own way back: while a change is pending, whatever it drops is dropped until a moment only.
///
/// A chain of the kernel's own that would drop by its policy accepts by it, and a last rule drops instead; that rule,
/// and every other in such a chain that may keep a packet from its way, carries `-m time --datestop`
/// (iptables-extensions(8); UTC). Jumps are among them, and so no chain of anybody's needs a change: a program that
/// takes a rule out of its own chain meanwhile finds it as it wrote it. When the moment has passed and nobody has taken
/// the rules back or made them permanent, they let everything through: the door is open though every process of
/// latchkey is dead.
package enum Expiry {
    /// Seconds after the deadline.
    ///
    /// The guard is never that late; what outlives it is dead.
    package static let grace: Int64 = 20

    /// What the comments of the added rules begin with.
    static let prefix = "\(Rule.ownershipPrefix)pending"

    /// The pending form of rules, as iptables prints them or as a person wrote them.
    ///
    /// - Parameters:
    ///   - rules: what is to be in force.
    ///   - until: seconds since 1970, UTC.
    /// - Returns: rules that let through and drop the same until that moment, and drop nothing afterwards; each line
    ///   stays in its place, and a table's last rules are its last lines.
    package static func pending(_ rules: RuleSet, until: Int64) -> RuleSet {
        rules.mapTables { pending($0, until: until) }
    }

    /// The rules whose pending form is in force.
    ///
    /// - Parameters:
    ///   - live: a fresh dump, straight after the pending form was loaded.
    ///   - until: the moment that it carries.
    /// - Returns: the same without what makes them expire.
    package static func permanent(of live: RuleSet, until: Int64) -> RuleSet {
        live.mapTables { table in
            let closed = Set(table.rules.filter(isLast).map(\.chain))
            let chains = table.chains.map { chain in
                Chain(chain.name, policy: closed.contains(chain.name) ? .drop : chain.policy, counters: chain.counters)
            }
            return Table(table.name, chains: chains, rules: settled(table.rules, until: until))
        }
    }

    /// The permanent form of what is in force now.
    ///
    /// What others added meanwhile stays, and what they took out of chains that are not the kernel's own stays gone. Where
    /// the kernel's own lack a rule of the plan, or another chain is empty, somebody flushed it: all of the plan comes
    /// back then.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: how far the change reaches.
    ///   - live: a fresh dump.
    ///   - until: the moment that the live rules carry.
    /// - Returns: the input for iptables-restore.
    package static func permanent(
        _ plan: RuleSet, scope: ChangeScope, live: RuleSet, until: Int64
    ) -> RestoreInput {
        switch scope {
        case .inputChain: settledInput(plan, live: live).restoreInput
        case .tables: RuleEdits.apply(settledTables(plan, live: live, until: until), scope: .tables, live: live)
        }
    }

    /// The pending form with another moment, of what is in force now.
    ///
    /// - Parameters:
    ///   - plan: the rules of the change.
    ///   - scope: how far the change reaches.
    ///   - live: a fresh dump.
    ///   - until: the moment that the live rules carry.
    ///   - later: the moment that they are to carry.
    /// - Returns: the input for iptables-restore.
    package static func moved(
        _ plan: RuleSet, scope: ChangeScope, live: RuleSet, from until: Int64, to later: Int64
    ) -> RestoreInput {
        switch scope {
        case .inputChain:
            return settledInput(pending(plan, until: later), live: live).restoreInput
        case .tables:
            let tables = settledTables(plan, live: live, until: until)
            return RuleEdits.apply(pending(tables, until: later), scope: .tables, live: live)
        }
    }

    // MARK: - Pieces

    private static func time(_ until: Int64) -> Match {
        .words(["-m", "time", "--datestop", UTCTime(secondsSince1970: until).iso8601])
    }

    private static func pending(_ table: Table, until: Int64) -> Table {
        let own = Set(Chain.builtIn(ofTable: table.name) ?? [])
        let entries = table.entries.map { entry in
            switch entry.statement {
            case .chain(let chain) where chain.policy == .drop:
                Entry(.chain(Chain(chain.name, policy: .accept, counters: chain.counters)))
            case .rule(let rule) where own.contains(rule.chain) && mayStop(rule):
                Entry(.rule(timed(rule, until: until)))
            case .command(let words): pending(words, own: own, until: until).map { Entry($0) } ?? entry
            case .chain, .rule, .note: entry
            }
        }
        let closed = table.normalized()?.chains.filter { $0.policy == .drop } ?? []
        let last = closed.map { chain in
            Rule(
                chain.name, [time(until), .comment("\(prefix), drops what no rule let in")], target: .drop,
                counters: .zero)
        }
        return Table(table.name, entries: entries + last.map { Entry(.rule($0)) })
    }

    /// The pending form of a command that only a person writes; nil where it stays.
    private static func pending(_ words: [Word], own: Set<String>, until: Int64) -> Entry.Statement? {
        guard words.count > 2, own.contains(words[1].value) else { return nil }
        switch words[0].value {
        case "-P", "--policy":
            return .command(Array(words[...1]) + [Word(Policy.accept.rawValue)])
        case "-I", "--insert", "-D", "--delete", "-R", "--replace":
            let head = words.prefix(words[2].value.allSatisfy(\.isNumber) ? 3 : 2)
            let body = words.dropFirst(head.count).map(\.spelling).joined(separator: " ")
            guard let rule = try? Rule(parsing: "-A \(words[1].spelling) \(body)"), mayStop(rule) else { return nil }
            let place = words.dropFirst(head.count).firstIndex { ["-j", "--jump", "-g", "--goto"].contains($0.value) }
            guard let place, case .unknown(let time) = time(until) else { return nil }
            return .command(Array(words[..<place]) + time + Array(words[place...]))
        default:
            return nil
        }
    }

    private static func mayStop(_ rule: Rule) -> Bool { rule.target.map { !$0.letsPass } ?? false }

    private static func timed(_ rule: Rule, until: Int64) -> Rule {
        var timed = rule
        timed.matches.append(time(until))
        return timed
    }

    static func isLast(_ rule: Rule) -> Bool { rule.comment?.hasPrefix(prefix) ?? false }

    /// Rules without their expiry, and without those that stand for a policy.
    private static func settled(_ rules: [Rule], until: Int64) -> [Rule] {
        rules.filter { !isLast($0) }.map { rule in
            var settled = rule
            settled.matches.removeAll { $0 == time(until) }
            return settled
        }
    }

    /// INPUT with the plan in one of its forms, between what others have put ahead of it and behind it.
    private static func settledInput(_ plan: RuleSet, live: RuleSet) -> InputChain {
        let planned = InputChain(of: plan)
        let present = InputChain(of: live).rules
        let counters = Dictionary(present.map { ($0.withoutCounters, $0.counters) }) { first, _ in first }
        let first = present.firstIndex(where: \.isOwned) ?? present.endIndex
        // Those that iptables-restore does not take cannot stay; see the revert.
        func others(_ part: ArraySlice<Rule>) -> [Rule] { part.filter { !$0.isOwned && $0.isRestorable } }
        let rules = planned.rules.map { rule in
            var counted = rule
            counted.counters = counters[rule.withoutCounters] ?? rule.counters
            return counted
        }
        return InputChain(
            policy: planned.policy, rules: others(present[..<first]) + rules + others(present[first...]))
    }

    private static func isFlushed(_ planned: Table, now rules: [Rule]) -> Bool {
        let own = Chain.builtIn(ofTable: planned.name) ?? []
        let found = Set(rules.map(\.withoutCounters))
        let filled = Set(rules.map(\.chain))
        return planned.rules.contains { rule in
            own.contains(rule.chain) ? !found.contains(rule.withoutCounters) : !filled.contains(rule.chain)
        }
    }

    /// The plan's tables as they are in force now, in their permanent form.
    private static func settledTables(_ plan: RuleSet, live: RuleSet, until: Int64) -> RuleSet {
        RuleSet(
            tables: plan.tables.map { planned in
                guard let present = live[planned.name] else { return planned }
                let rules = settled(present.rules, until: until)
                guard !isFlushed(planned, now: rules) else { return planned }
                let chains = present.chains.map { chain in
                    Chain(
                        chain.name, policy: chain.policy.map { planned.chain(chain.name)?.policy ?? $0 },
                        counters: chain.counters)
                }
                return Table(planned.name, chains: chains, rules: rules)
            })
    }
}
