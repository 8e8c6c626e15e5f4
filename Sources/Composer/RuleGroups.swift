import Netfilter
import Policy

/// Where a rule's packets come from.
enum RuleSource: Hashable, Comparable {
    case anywhere
    case network(CIDR)
    case set(AddressSet)

    /// Anywhere first, then networks, then sets by name.
    static func < (left: RuleSource, right: RuleSource) -> Bool {
        switch (left, right) {
        case (.anywhere, .anywhere): false
        case (.anywhere, _): true
        case (_, .anywhere): false
        case (.network(let left), .network(let right)): left < right
        case (.network, .set): true
        case (.set, .network): false
        case (.set(let left), .set(let right)): left.name < right.name
        }
    }

    /// `0.0.0.0/0` and `::/0` are anywhere: iptables-save prints no source for them.
    init(_ network: CIDR) { self = network.isEverything ? .anywhere : .network(network) }

    /// The network as iptables-save prints it.
    var network: String? { if case .network(let network) = self { network.canonical } else { nil } }

    /// The set.
    var set: AddressSet? { if case .set(let set) = self { set } else { nil } }

    /// The sources of a list in one family: a rule for each network, or one for all of them in a set.
    ///
    /// - Parameters:
    ///   - list: the addresses and networks.
    ///   - family: the family of the rules.
    ///   - usesSets: whether the kernel has sets.
    /// - Returns: no more than `AddressSet.mostRules` where there are no sets; the first of those beyond tell the caller.
    static func all(_ list: AddressList, _ family: Family, usesSets: Bool) -> [RuleSource] {
        let networks = Set(list.all.filter { $0.family == family }).sorted()
        guard usesSets, networks.count > AddressSet.threshold else { return networks.map { RuleSource($0) } }
        return [.set(AddressSet(networks, family))]
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
