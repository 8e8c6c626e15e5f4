import Host
import Netfilter

/// How a batch of packets changed the counters of one family: from the first hook that an incoming packet passes to the
/// last.
package struct CounterDifference: Sendable {
    /// A rule and the number of packets it has counted since.
    package struct Movement: Sendable {
        /// The rule, without its counter.
        package let rule: CountedRule
        /// How many packets more.
        package let packets: UInt64
        /// Whether the rule is in the table that the plan is about.
        let isDeciding: Bool

        /// Whether the rule decided about the packet; elsewhere an accept only lets the packet continue.
        var isFinal: Bool { rule.isFinal && (isDeciding || rule.verdict != .accept) }
    }

    /// The rules that have counted something, in the order of the hooks; of each table the chain at the hook first.
    package let movements: [Movement]
    /// The policy for packets that no rule decides.
    package let policy: ChainPolicy
    /// The number of packets that it decided since.
    package let policyPackets: UInt64

    /// The packets' way.
    private let path: PacketPath

    /// The difference between two readings of the same rules.
    package init(from before: CountedRules, to after: CountedRules) {
        movements = after.bases.flatMap { base in
            after.reached(from: base).flatMap { chain in
                zip(before.chain(chain.name, in: chain.table)?.rules ?? [], chain.rules).compactMap { before, after in
                    let more = (after.packets ?? 0) &- (before.packets ?? 0)
                    return more > 0
                        ? Movement(
                            rule: after.withoutCounter, packets: more, isDeciding: base.base?.isDeciding ?? false)
                        : nil
                }
            }
        }
        let base = after.deciding?.base
        policy = base?.policy ?? .accept
        path = after.path
        policyPackets = (base?.policyPackets ?? 0) &- (before.deciding?.base?.policyPackets ?? 0)
    }

    /// The rule or policy that decided about all packets of a batch.
    package enum Decision: Hashable, Sendable {
        case rule(CountedRule)
        /// A rule outside the table that the plan is about.
        case earlier(CountedRule)
        /// The policy of the chain that the plan is about.
        case policy(ChainPolicy)
        /// The policy of another chain.
        case otherPolicy(ChainPolicy, NFTPlace)

        fileprivate init(_ movement: Movement) {
            self = movement.isDeciding ? .rule(movement.rule) : .earlier(movement.rule)
        }
    }

    /// The chain whose policy decides about forwarded packets; latchkey does not change it.
    private static let forward = NFTPlace(table: "filter", chain: "FORWARD")

    /// How many packets rules and the policy have dropped.
    var dropped: UInt64 {
        let byRules = movements.filter { $0.isFinal && $0.rule.verdict != .accept }.map(\.packets).reduce(0, +)
        return byRules + (policy == .drop ? policyPackets : 0)
    }

    /// The rule or policy that decided about all `count` exchanges of a batch; nil if there were several, or none is
    /// visible.
    ///
    /// The rule for replies counts the later packets of every exchange, so it is only chosen if nothing else has
    /// counted.
    ///
    /// - Parameters:
    ///   - count: the number of exchanges.
    ///   - isAccepted: whether they were accepted; nil if that is unknown.
    ///   - icmpv6: their ICMPv6 type; packets of these types also occur outside the batch.
    /// - Returns: the deciding rule or policy.
    package func decision(of count: Int, isAccepted: Bool?, icmpv6: UInt8? = nil) -> Decision? {
        let ends = movements.filter { movement in
            let rule = movement.rule
            guard movement.isFinal, isAccepted.map({ $0 == (rule.verdict == .accept) }) ?? true else { return false }
            guard let types = rule.unaskedTypes else { return true }
            return icmpv6.map(types.contains) ?? false
        }
        let counts = isAccepted.map { $0 == (policy == .accept) } ?? true
        var policyCount = counts ? policyPackets : 0
        var fresh = ends.filter { !$0.rule.isForReplies }
        if path == .forwarded {
            // What latchkey's rules return, another program's rule or the policy accepts.
            let own = fresh.filter { $0.rule.isOwned }
            if !own.isEmpty {
                fresh = own
                policyCount = 0
            } else if isAccepted != false, let entry = entry(of: count) {
                return Decision(entry)
            }
        }
        if let only = fresh.first {
            return fresh.count == 1 && only.packets >= count && (count == 1 || policyCount == 0)
                ? Decision(only) : nil
        }
        if policyCount > 0 {
            guard policyCount >= count else { return nil }
            return path == .incoming ? .policy(policy) : .otherPolicy(policy, Self.forward)
        }
        return ends.first { $0.packets >= count }.map(Decision.init)
    }

    /// The rule that sent the first packets of all `count` exchanges to latchkey's chain for published ports, where no
    /// rule decided about them; nil if they did not come there.
    private func entry(of count: Int) -> Movement? {
        let own = movements.filter(\.rule.isOwned)
        let entries = own.filter { $0.rule.verdict.chain != nil }
        let later = own.filter(\.rule.isForReplies).reduce(0) { $0 + $1.packets }
        return entries.reduce(0) { $0 + $1.packets } >= later + UInt64(count) ? entries.first : nil
    }
}

extension CounterDifference.Decision {
    /// Whether it accepts packets.
    package var isAccepted: Bool {
        switch self {
        case .rule(let rule), .earlier(let rule): rule.verdict == .accept
        case .policy(let policy), .otherPolicy(let policy, _): policy == .accept
        }
    }

    /// The rule as its backend prints it, or the policy.
    package var text: String {
        switch self {
        case .rule(let rule), .earlier(let rule): rule.fullText
        case .policy(let policy): "-P INPUT \(policy.rawValue)"
        case .otherPolicy(let policy, let place): "\(place): policy \(policy.rawValue.lowercased())"
        }
    }

    /// The rule; nil for a policy.
    package var rule: CountedRule? {
        switch self {
        case .rule(let rule), .earlier(let rule): rule
        case .policy, .otherPolicy: nil
        }
    }

    /// The rule's comment.
    package var comment: String? { rule?.comment }

    /// Whether another program's rule or policy decided.
    package var isOfOthers: Bool {
        switch self {
        case .rule(let rule), .earlier(let rule): !rule.isOwned
        case .policy: false
        case .otherPolicy(_, let place): place.table != NFTable.Name.latchkey.description
        }
    }
}
