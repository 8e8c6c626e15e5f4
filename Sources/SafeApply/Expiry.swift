import Host
import Netfilter

/// The kernel's own way back: while a change is pending, whatever it drops is dropped until a moment only.
///
/// A chain that would drop by its policy accepts by it, and a last rule drops instead; that rule, and every other
/// that drops or rejects, carries `-m time --datestop` (iptables-extensions(8); UTC). When the moment has passed and
/// nobody has taken the rules back or made them permanent, they let everything through: the door is open though
/// every process of latchkey is dead.
package enum Expiry {
    /// Seconds after the deadline.
    ///
    /// The guard is never that late; what outlives it is dead.
    package static let grace: Int64 = 20

    /// What the comments of the added rules begin with.
    static let prefix = "\(Rule.ownershipPrefix)pending"

    /// The pending form of rules as iptables prints them.
    ///
    /// - Parameters:
    ///   - rules: what is to be in force.
    ///   - until: seconds since 1970, UTC.
    /// - Returns: rules that let through and drop the same until that moment, and drop nothing afterwards.
    package static func pending(_ rules: RuleSet, until: Int64) -> RuleSet {
        RuleSet(tables: rules.tables.map { pending($0, until: until) })
    }

    /// The permanent form of what is in force now.
    ///
    /// What others added meanwhile stays. Where rules of the plan are missing, somebody emptied a chain: all of the
    /// plan comes back then.
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
    ///   - until: the moment that the live rules carry, or nil when they carry none yet.
    ///   - later: the moment that they are to carry.
    /// - Returns: the input for iptables-restore.
    package static func moved(
        _ plan: RuleSet, scope: ChangeScope, live: RuleSet, from until: Int64?, to later: Int64
    ) -> RestoreInput {
        switch scope {
        case .inputChain:
            let chain = settledInput(plan, live: live)
            let table = Table("filter", chains: [Chain("INPUT", policy: chain.policy)], rules: chain.rules)
            return InputChain(of: RuleSet(tables: [pending(table, until: later)])).restoreInput
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
        let timed = table.rules.map { rule in
            var timed = rule
            if drops(rule) { timed.matches.append(time(until)) }
            return timed
        }
        let closed = table.chains.filter { $0.policy == .drop }
        let chains = table.chains.map { chain in
            Chain(chain.name, policy: chain.policy.map { _ in .accept }, counters: chain.counters)
        }
        let last = closed.map { chain in
            Rule(
                chain.name, [time(until), .comment("\(prefix), drops what no rule let in")], target: .drop,
                counters: .zero)
        }
        return Table(table.name, chains: chains, rules: timed + last)
    }

    private static func drops(_ rule: Rule) -> Bool {
        switch rule.target {
        case .drop, .reject: true
        default: false
        }
    }

    private static func isLast(_ rule: Rule) -> Bool { rule.comment?.hasPrefix(prefix) ?? false }

    /// INPUT with the plan in its permanent form, between what others have put ahead of it and behind it.
    private static func settledInput(_ plan: RuleSet, live: RuleSet) -> InputChain {
        let planned = InputChain(of: plan)
        let present = InputChain(of: live).rules
        let counters = Dictionary(present.map { ($0.withoutCounters, $0.counters) }) { first, _ in first }
        let first = present.firstIndex(where: \.isOwned) ?? present.endIndex
        func others(_ part: ArraySlice<Rule>) -> [Rule] { part.filter { !$0.isOwned } }
        let rules = planned.rules.map { rule in
            var counted = rule
            counted.counters = counters[rule.withoutCounters] ?? rule.counters
            return counted
        }
        return InputChain(
            policy: planned.policy, rules: others(present[..<first]) + rules + others(present[first...]))
    }

    /// The plan's tables as they are in force now, in their permanent form.
    private static func settledTables(_ plan: RuleSet, live: RuleSet, until: Int64?) -> RuleSet {
        RuleSet(
            tables: plan.tables.map { planned in
                guard let present = live[planned.name] else { return planned }
                let rules = present.rules.filter { !isLast($0) }.map { rule in
                    var settled = rule
                    if let until, drops(rule) { settled.matches.removeAll { $0 == time(until) } }
                    return settled
                }
                let found = Set(rules.map(\.withoutCounters))
                guard planned.rules.allSatisfy({ found.contains($0.withoutCounters) }) else { return planned }
                let chains = present.chains.map { chain in
                    Chain(
                        chain.name, policy: chain.policy.map { planned.chain(chain.name)?.policy ?? $0 },
                        counters: chain.counters)
                }
                return Table(planned.name, chains: chains, rules: rules)
            })
    }
}
