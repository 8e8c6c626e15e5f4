import Netfilter
import Policy
import Rehearsal

/// What `trace` reports with `--json`.
package struct TraceReport: Report, Equatable {
    /// A rule that the packet came to.
    package struct Step: Equatable, Codable, Sendable {
        /// The rule, as iptables-save prints it.
        package var rule: String
        /// Whether it took the packet; one that did and is not the last let it go on.
        package var matched: Bool
    }

    /// Where the packet came from.
    package var from: String
    /// Where it went to.
    package var to: String
    /// What was sent: `22/tcp`, `ping`.
    package var packet: String
    /// The rules in the order in which the packet came to them.
    package var steps: [Step]
    /// The rule or policy that decided; null where the counters do not tell.
    @OrNull package var decision: String?
    /// `accept` or `drop`; null where the counters do not tell.
    @OrNull package var observed: String?
    /// What was not as on the machine.
    package var notes: [String]
}

extension TraceReport {
    /// The report of one packet's way.
    init(_ expectation: Expectation, _ trace: PacketTrace, notes: [String]) {
        self.init(
            from: "\(expectation.source)", to: "\(expectation.target)", packet: expectation.packet.title,
            steps: trace.steps.map { Step(rule: $0.rule.text, matched: $0.isMatch) },
            decision: trace.decision?.text, observed: trace.decision.map { $0.isAccepted ? "accept" : "drop" },
            notes: notes)
    }
}
