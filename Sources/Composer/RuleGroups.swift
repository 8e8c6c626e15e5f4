import Netfilter
import Policy

/// Where a rule's packets come from: anywhere, or one network.
struct RuleSource: Hashable, Comparable {
    /// The network; nil for any address.
    let network: CIDR?

    /// Anywhere first, then by network.
    static func < (left: RuleSource, right: RuleSource) -> Bool {
        switch (left.network, right.network) {
        case (nil, nil), (_?, nil): false
        case (nil, _?): true
        case (let left?, let right?): left < right
        }
    }

    /// `0.0.0.0/0` and `::/0` are anywhere: iptables-save prints no source for them.
    init(_ network: CIDR?) {
        self.network = network?.isEverything == true ? nil : network
    }

    /// The sources that a permission yields rules for, in one family; the admins need none beside their own.
    static func all(_ source: Source, _ family: Family) -> [RuleSource] {
        switch source {
        case .everyone: [RuleSource(nil)]
        case .admins: []
        case .networks(let networks):
            Set(networks.filter { $0.family == family }.map { RuleSource($0) }).sorted()
        }
    }
}

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
