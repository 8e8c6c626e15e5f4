import Netfilter
import Policy

/// Ports of one source and protocol, gathered from all the answers that open them.
struct PortGroup {
    /// What opens a range of ports.
    struct Member {
        let range: PortRange
        let answer: Permission.Answer
        /// The port as the answers have it.
        let label: String
    }

    /// The most ports that `-m multiport` takes in one rule; a range counts as two (iptables-extensions(8)).
    static let slots = 15

    var members: [Member] = []

    /// The ports in as few rules' worth of ranges as possible, ascending and merged.
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
    func comment(for ranges: [PortRange]) -> String {
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
        return RuleComment.text(services: services, ports: ports)
    }
}

/// The ports of one rule, as iptables says it: one range by `-m tcp`, several by `-m multiport`.
struct RulePorts: Equatable {
    let transport: TransportProtocol
    let ranges: [PortRange]

    /// As iptables prints them: `80,443,6000:6010`.
    var text: String { ranges.map(\.iptablesText).joined(separator: ",") }
}
