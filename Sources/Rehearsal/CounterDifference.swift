import Netfilter

/// How a batch of packets changed the counters of one family: in the filter table from INPUT on, and in the raw and
/// mangle tables before it.
package struct CounterDifference: Sendable {
    /// A rule and how many packets more it has counted.
    package struct Movement: Sendable {
        /// The table of the rule.
        package let table: String
        /// The rule, without counters.
        package let rule: Rule
        /// How many packets more.
        package let packets: UInt64

        /// Whether the rule decided about the packet; an accept before the filter table is not final.
        var isFinal: Bool { rule.isFinal && (table == CounterDifference.last || rule.target != .accept) }
    }

    static let last = "filter"
    /// Where a packet that comes in is asked for, in this order.
    static let hooks = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "INPUT"), (last, "INPUT")]

    /// The rules that have counted something, in the order of the tables; of each table its built-in chain's first.
    package let movements: [Movement]
    /// The policy for packets that no rule decides.
    package let policy: ChainPolicy
    /// How many packets more that was.
    package let policyPackets: UInt64

    /// The difference between two dumps of the same rules.
    package init(from before: RuleSet, to after: RuleSet) {
        movements = Self.hooks.flatMap { name, hook in
            Self.chains(reachedFrom: hook, in: after[name]).flatMap { chain in
                zip(before[name]?.rules(in: chain) ?? [], after[name]?.rules(in: chain) ?? []).compactMap {
                    before, after in
                    let more = (after.counters?.packets ?? 0) &- (before.counters?.packets ?? 0)
                    return more > 0 ? Movement(table: name, rule: after.withoutCounters, packets: more) : nil
                }
            }
        }
        let chain = after[Self.last]?.chain("INPUT")
        policy = chain?.policy ?? .accept
        policyPackets =
            (chain?.counters.packets ?? 0) &- (before[Self.last]?.chain("INPUT")?.counters.packets ?? 0)
    }

    /// The rule or policy that decided about all packets of a batch.
    package enum Decision: Hashable, Sendable {
        case rule(Rule)
        /// A rule of another table, ahead of filter.
        case earlier(Rule, table: String)
        case policy(ChainPolicy)

        fileprivate init(_ movement: Movement) {
            self =
                movement.table == CounterDifference.last
                ? .rule(movement.rule) : .earlier(movement.rule, table: movement.table)
        }
    }

    /// The rule or policy that decided about all `count` conversations of a batch; nil if there were several, or none is
    /// visible.
    ///
    /// The rule for replies counts the later packets of every conversation, so it is only taken if nothing else has
    /// counted.
    ///
    /// - Parameters:
    ///   - count: how many conversations were begun.
    ///   - isAccepted: whether they were accepted; nil if that is unknown.
    ///   - icmpv6: their ICMPv6 type; packets of these types also occur besides every batch.
    /// - Returns: the deciding rule or policy.
    package func decision(of count: Int, isAccepted: Bool?, icmpv6: UInt8? = nil) -> Decision? {
        let ends = movements.filter { movement in
            let rule = movement.rule
            guard movement.isFinal, isAccepted.map({ $0 == (rule.target == .accept) }) ?? true else { return false }
            guard let types = rule.unaskedTypes else { return true }
            return icmpv6.map(types.contains) ?? false
        }
        let counts = isAccepted.map { $0 == (policy == .accept) } ?? true
        let policyCount = counts ? policyPackets : 0
        let fresh = ends.filter { !$0.rule.isForReplies }
        if let only = fresh.first {
            return fresh.count == 1 && only.packets >= count && (count == 1 || policyCount == 0)
                ? Decision(only) : nil
        }
        if policyCount > 0 { return policyCount >= count ? .policy(policy) : nil }
        return ends.first { $0.packets >= count }.map(Decision.init)
    }

    private static func chains(reachedFrom first: String, in table: Table?) -> [String] {
        guard let table else { return [] }
        var reached = [first]
        var index = 0
        while index < reached.count {
            for case let chain? in table.rules(in: reached[index]).map(\.jumpsTo) where !reached.contains(chain) {
                if table.chain(chain) != nil { reached.append(chain) }
            }
            index += 1
        }
        return reached
    }
}

extension CounterDifference.Decision {
    /// Whether it accepts packets.
    package var isAccepted: Bool {
        switch self {
        case .rule(let rule), .earlier(let rule, _): rule.target == .accept
        case .policy(let policy): policy == .accept
        }
    }

    /// The rule as iptables-save prints it, or the policy.
    package var text: String {
        switch self {
        case .rule(let rule): rule.text
        case .earlier(let rule, let table): "-t \(table) \(rule.text)"
        case .policy(let policy): "-P INPUT \(policy.rawValue)"
        }
    }

    /// The rule; nil for a policy.
    package var rule: Rule? {
        switch self {
        case .rule(let rule), .earlier(let rule, _): rule
        case .policy: nil
        }
    }

    /// The rule's comment.
    package var comment: String? { rule?.comment }
}

extension Rule {
    /// Whether it decides about a packet that matches.
    var isFinal: Bool {
        switch target {
        case .accept, .drop, .reject: true
        case .return, .jump, .goto, .log, .unknown, nil: false
        }
    }

    /// Whether the rule accepts packets of a known conversation.
    var isForReplies: Bool {
        matches.contains { match in
            if case .conntrack(let states, false) = match { states.contains(.established) } else { false }
        }
    }

    /// The types of ICMPv6 that the rule is for, where they are such as go on unasked: neighbours, routers, multicast
    /// listeners.
    var unaskedTypes: [UInt8]? {
        let types = matches.compactMap { match -> UInt8? in
            if case .icmpv6(let type, _) = match { type } else { nil }
        }
        return types.contains { (130...136).contains($0) || $0 == 143 } ? types : nil
    }
}
