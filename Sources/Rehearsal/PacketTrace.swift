import Netfilter
import Policy

/// The path of one packet through the rules, from the counters of the rules that it reached.
package struct PacketTrace: Sendable {
    /// One rule that the packet reached.
    package struct Step: Sendable {
        /// The rule.
        package let rule: CountedRule
        /// The number of jumps that lead to it.
        package let depth: Int
        /// Whether it matched the packet; a match that does not decide lets the packet continue.
        package let isMatch: Bool
    }

    /// The rules in the order in which the packet reached them, up to the deciding one.
    package let steps: [Step]
    /// The rule or policy that decided; nil if the counters don't show it.
    package let decision: CounterDifference.Decision?
    /// The result.
    package let outcome: ProbeOutcome

    /// The path of a packet that changed the counters like this.
    init(
        _ counted: CounterDifference, in rules: CountedRules, decision: CounterDifference.Decision?,
        outcome: ProbeOutcome
    ) {
        self.decision = decision
        self.outcome = outcome
        if case .earlier(let rule) = decision {
            steps = [Step(rule: rule, depth: 0, isMatch: true)]
            return
        }
        var steps: [Step] = []
        _ = Self.walk(rules.deciding, in: rules, Set(counted.movements.map(\.rule)), decision, 0, &steps)
        self.steps = steps
    }

    /// The path of a packet as the kernel traced it.
    init(steps: [Step], decision: CounterDifference.Decision?, outcome: ProbeOutcome) {
        self.steps = steps
        self.decision = decision
        self.outcome = outcome
    }

    /// Returns whether the packet's path ended in the chain.
    private static func walk(
        _ chain: CountedRules.Chain?, in rules: CountedRules, _ moved: Set<CountedRule>,
        _ decision: CounterDifference.Decision?, _ depth: Int, _ steps: inout [Step]
    ) -> Bool {
        guard let chain, depth < 16 else { return false }
        for counted in chain.rules {
            let rule = counted.withoutCounter
            let isEnd = decision == .rule(rule)
            // The rule for replies also counts the packets after this one.
            let isMatch = isEnd || (moved.contains(rule) && !rule.isFinal)
            steps.append(Step(rule: rule, depth: depth, isMatch: isMatch))
            if isEnd { return true }
            guard isMatch, let next = rule.verdict.chain else { continue }
            if walk(rules.chain(next, in: chain.table), in: rules, moved, decision, depth + 1, &steps) { return true }
        }
        return false
    }
}

extension Rehearsal {
    /// Sends one packet and follows it.
    ///
    /// - Parameter expectation: what to send.
    /// - Returns: its path.
    /// - Throws: `StageError` and `HostError` if the stage or a tool in it fails.
    package func trace(_ expectation: Expectation) async throws -> PacketTrace {
        let family = expectation.family
        guard counters.families.contains(family) else {
            throw StageError.agent(place: .server, reason: "there is no \(family.title) here")
        }
        let before = try await counters.read(family)
        let result = try await stage.probe([expectation.probe], from: expectation.place)
        let after = try await counters.read(family)
        let counted = CounterDifference(from: before, to: after)
        let outcome = result.first?.outcome ?? .unsent
        // A refusal may come from a rule or from the kernel itself: the counters show which.
        let isThrough = outcome == .refused ? nil : expectation.isThrough(outcome)
        let decision = counted.decision(of: 1, isAccepted: isThrough, icmpv6: expectation.icmpv6)
        // Where other tables decide too, a packet that one of them drops may have been accepted before.
        if decision == nil || isThrough == nil, let kernelTrace = await hiddenDeciders(),
            let path = await trace([expectation], areDropped: isThrough == false, by: kernelTrace)[expectation],
            let end = path.decision,
            isThrough.map({ $0 == end.isAccepted }) ?? (decision == nil || !end.isAccepted)
        {
            return PacketTrace(steps: path.steps, decision: end, outcome: outcome)
        }
        return PacketTrace(counted, in: after, decision: decision, outcome: outcome)
    }
}
