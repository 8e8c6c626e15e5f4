import Netfilter
import Policy

/// The way of one packet through the rules, by the counters of the rules it met.
package struct PacketTrace: Sendable {
    /// One rule that the packet came to.
    package struct Step: Sendable {
        /// The rule.
        package let rule: Rule
        /// How many jumps deep it stands.
        package let depth: Int
        /// Whether it counted the packet; one that did and is not the last let it go on.
        package let isMatch: Bool
    }

    /// The rules in the order in which the packet came to them, up to the one that decided.
    package let steps: [Step]
    /// What decided; nil where the counters do not tell.
    package let decision: CounterDifference.Decision?
    /// What came of the packet.
    package let outcome: ProbeOutcome

    /// The way of a packet that moved the counters so.
    init(_ counted: CounterDifference, in rules: RuleSet, decision: CounterDifference.Decision?, outcome: ProbeOutcome)
    {
        self.decision = decision
        self.outcome = outcome
        if case .earlier(let rule, _) = decision {
            steps = [Step(rule: rule, depth: 0, isMatch: true)]
            return
        }
        var steps: [Step] = []
        _ = Self.walk("INPUT", in: rules["filter"], Set(counted.movements.map(\.rule)), decision, 0, &steps)
        self.steps = steps
    }

    /// Returns whether the packet's way ended in the chain.
    private static func walk(
        _ chain: String, in table: Table?, _ moved: Set<Rule>, _ decision: CounterDifference.Decision?, _ depth: Int,
        _ steps: inout [Step]
    ) -> Bool {
        guard let table, depth < 16 else { return false }
        for counted in table.rules(in: chain) {
            let rule = counted.withoutCounters
            let isEnd = decision == .rule(rule)
            // The rule for replies counts what came after the packet too.
            let isMatch = isEnd || (moved.contains(rule) && !rule.isFinal)
            steps.append(Step(rule: rule, depth: depth, isMatch: isMatch))
            if isEnd { return true }
            if isMatch, let next = rule.jumpsTo, walk(next, in: table, moved, decision, depth + 1, &steps) {
                return true
            }
        }
        return false
    }
}

extension Rehearsal {
    /// Sends one packet and follows it.
    ///
    /// - Parameter expectation: what to send.
    /// - Returns: its way.
    /// - Throws: `StageError` and `HostError`, where the stage or a tool in it breaks off.
    package func trace(_ expectation: Expectation) async throws -> PacketTrace {
        guard let tool = tools[expectation.family] else {
            throw StageError.agent(place: .server, reason: "there is no \(expectation.family.rawValue) here")
        }
        let before = try await dump(tool)
        let result = try await stage.probe([expectation.probe], from: expectation.place)
        let after = try await dump(tool)
        let counted = CounterDifference(from: before, to: after)
        let outcome = result.first?.outcome ?? .unsent
        // A refusal may be a rule's or the kernel's own: the counters tell.
        let isThrough = outcome == .refused ? nil : expectation.isThrough(outcome)
        return PacketTrace(
            counted, in: after,
            decision: counted.decision(of: 1, isAccepted: isThrough, icmpv6: expectation.icmpv6), outcome: outcome)
    }
}
