import Netfilter
import Policy

/// Ports of one source and protocol, collected from all the answers that open them.
struct PortGroup {
    /// The answer that opens a range of ports.
    struct Member {
        let range: PortRange
        let answer: Permission.Answer
        /// The port as written in the answers.
        let label: String
    }

    /// The maximum number of ports in one `-m multiport` rule; a range counts as two (iptables-extensions(8)).
    static let slots = 15

    var members: [Member] = []

    /// The ports in as few rules as possible, ascending and merged.
    var chunks: [[PortRange]] {
        var chunks: [[PortRange]] = []
        var room = 0
        for range in PortRange.merged(members.map(\.range)) {
            let need = range.lower == range.upper ? 1 : 2
            if need > room {
                chunks.append([])
                room = Self.slots
            }
            chunks[chunks.count - 1].append(range)
            room -= need
        }
        return chunks
    }

    /// The comment of the rule that opens these ranges.
    func comment(for ranges: [PortRange], limit: Int = RuleComment.limit) -> String {
        var services: [String] = []
        var ports: [String] = []
        for member in members
        where ranges.contains(where: { $0.lower <= member.range.upper && member.range.lower <= $0.upper }) {
            if case .service(let name) = member.answer {
                if !services.contains(name) { services.append(name) }
            } else if !ports.contains(member.label) {
                ports.append(member.label)
            }
        }
        return RuleComment.text(services: services, ports: ports, limit: limit)
    }
}

/// The ports of one rule in iptables syntax: one range with `-m tcp`, several with `-m multiport`.
struct RulePorts: Equatable {
    let transport: TransportProtocol
    let ranges: [PortRange]

    /// As iptables prints them: `80,443,6000:6010`.
    var text: String { ranges.map(\.iptablesText).joined(separator: ",") }
}
