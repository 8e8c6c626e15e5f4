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
    package var decision: String?
    /// `accept` or `drop`; null where the counters do not tell.
    package var observed: String?
    /// What was not as on the machine.
    package var notes: [String]

    private enum CodingKeys: String, CodingKey {
        case from, to, packet, steps, decision, observed, notes
    }

    // Written by hand: what Swift derives leaves out a nil, and a reader wants to find the key with null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(from, forKey: .from)
        try container.encode(to, forKey: .to)
        try container.encode(packet, forKey: .packet)
        try container.encode(steps, forKey: .steps)
        try container.encode(decision, forKey: .decision)
        try container.encode(observed, forKey: .observed)
        try container.encode(notes, forKey: .notes)
    }
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
