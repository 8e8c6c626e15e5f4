import Netfilter
import Policy

/// A plan laid out for the rule templates of one family: which ports and sources share a rule, and in which order.
struct RuleLayout {
    /// One rule of the services' templates: its source, ports and comment.
    struct Item: Equatable {
        let source: RuleSource
        var ports: RulePorts?
        var group: IPAddress?
        var ipProtocol: IPProtocol?
        let comment: String
    }

    let family: Family
    let answers: Answers
    /// Whether the family is more than loopback and replies.
    let isOpen: Bool
    let admins: [CIDR]
    let ssh: [Item]
    let services: [Item]
    let multicast: [Item]
    let protocols: [Item]
    /// nil when no ping gets in; else whether few do.
    let pingLimited: Bool?

    init(_ plan: Plan, _ family: Family) {
        self.family = family
        answers = plan.answers
        isOpen = plan.isOpen(family)
        let permissions = isOpen ? plan.permissions : []
        admins = isOpen ? Set(plan.answers.admins.filter { $0.family == family }).sorted() : []
        ssh = Self.portItems(permissions.filter { $0.answer == .ssh }, family) { _, _ in "ssh" }
        services = Self.portItems(permissions.filter { $0.answer != .ssh }, family) { $0.comment(for: $1) }
        multicast = Self.multicastItems(permissions, family)
        protocols = Self.protocolItems(permissions, family)
        pingLimited =
            permissions.lazy.compactMap { permission -> Bool? in
                if case .ping(let limited) = permission.opening { limited } else { nil }
            }.first
    }

    private static func portItems(
        _ permissions: [Permission], _ family: Family, comment: (PortGroup, [PortRange]) -> String
    ) -> [Item] {
        struct Key: Hashable, Comparable {
            let source: RuleSource
            let transport: TransportProtocol
            static func < (left: Key, right: Key) -> Bool {
                (left.source, left.transport) < (right.source, right.transport)
            }
        }
        var groups: [Key: PortGroup] = [:]
        for permission in permissions {
            guard case .ports(let spec) = permission.opening else { continue }
            for source in RuleSource.all(permission.source, family) {
                groups[Key(source: source, transport: spec.transport), default: PortGroup()].members.append(
                    PortGroup.Member(range: spec.range, answer: permission.answer, label: spec.description))
            }
        }
        return groups.sorted { $0.key < $1.key }.flatMap { key, group in
            group.chunks.map { ranges in
                Item(
                    source: key.source, ports: RulePorts(transport: key.transport, ranges: ranges),
                    comment: comment(group, ranges))
            }
        }
    }

    private static func multicastItems(_ permissions: [Permission], _ family: Family) -> [Item] {
        var items: [Item] = []
        for permission in permissions {
            guard case .multicast(let spec, let groups) = permission.opening,
                case .service(let name) = permission.answer
            else { continue }
            for source in RuleSource.all(permission.source, family) {
                for group in groups where group.family == family {
                    items.append(
                        Item(
                            source: source, ports: RulePorts(transport: spec.transport, ranges: [spec.range]),
                            group: group, comment: RuleComment.text(services: [name], ports: [])))
                }
            }
        }
        return items
    }

    private static func protocolItems(_ permissions: [Permission], _ family: Family) -> [Item] {
        var items: [Item] = []
        for permission in permissions {
            guard case .ipProtocol(let ipProtocol) = permission.opening, case .service(let name) = permission.answer
            else { continue }
            for source in RuleSource.all(permission.source, family) {
                items.append(
                    Item(
                        source: source, ipProtocol: ipProtocol,
                        comment: RuleComment.text(services: [name], ports: [])))
            }
        }
        return items
    }
}

extension RuleLayout {
    /// The condition for a ping: ICMP type 8 (RFC 792), ICMPv6 type 128 (RFC 4443 section 4.1).
    var echoRequest: [Match] {
        family == .ipv4
            ? [.transport("icmp"), .icmp(type: 8)] : [.transport("ipv6-icmp"), .icmpv6(type: 128)]
    }
}

extension IPProtocol {
    /// The condition for the protocol.
    ///
    /// To ip6tables AH is an extension header that `-p` looks past: there only `-m ah` sees it.
    func match(_ family: Family) -> Match {
        switch (self, family) {
        case (.ah, .ipv6): .words(["-m", "ah"])
        case (.esp, _), (.ah, .ipv4): .transport(rawValue)
        }
    }
}
