import Netfilter
import Policy
import Rehearsal

/// What `trace` reports with `--json`.
package struct TraceReport: Report, Equatable {
    /// A rule that the packet reached.
    package struct Step: Equatable, Codable, Sendable {
        /// The rule, as iptables-save prints it, or with its table and chain as nft prints it.
        package var rule: String
        /// Whether it matched the packet; a match that does not decide lets the packet continue.
        package var matched: Bool
    }

    /// The packet's source address.
    package var from: String
    /// The packet's destination address.
    package var to: String
    /// What was sent: `22/tcp`, `ping`.
    package var packet: String
    /// The rules in the order in which the packet reached them.
    package var steps: [Step]
    /// The rule or policy that decided; null if the counters don't show it.
    @OrNull package var decision: String?
    /// `accept` or `drop`; null if the counters don't show it.
    @OrNull package var observed: String?
    /// How the throwaway network differed from the machine.
    package var notes: [String]
}

extension TraceReport {
    /// The report of one packet's path.
    init(_ expectation: Expectation, _ trace: PacketTrace, notes: [String]) {
        self.init(
            from: "\(expectation.source)", to: "\(expectation.target)", packet: expectation.packet.title,
            steps: trace.steps.map { Step(rule: $0.rule.listedText, matched: $0.isMatch) },
            decision: trace.decision?.text, observed: trace.decision.map { $0.isAccepted ? "accept" : "drop" },
            notes: notes)
    }
}
