import Netfilter
import Policy

/// A plan arranged for the rule templates of one family: which ports and sources share a rule, and in which order.
struct RuleLayout {
    /// A rule of the service templates: its source, ports and comment.
    struct Item: Equatable {
        let source: RuleSource
        var ports: RulePorts?
        var group: IPAddress?
        var ipProtocol: IPProtocol?
        var limit: SourceLimit?
        let comment: String
    }

    /// A rule about everything from a source: the source, and the text of the comment.
    struct Whole: Equatable {
        let source: RuleSource
        let title: String
    }

    let family: Family
    let answers: Answers
    /// Whether the family allows more than loopback and replies.
    let isOpen: Bool
    let admins: [Whole]
    let blocked: [Whole]
    let ssh: [Item]
    let services: [Item]
    let multicast: [Item]
    let protocols: [Item]
    /// The ports that services and further ports open, for published ports: each with one range.
    let published: [Item]
    /// The beginnings of the names of interfaces from which containers send.
    let containerInterfaces: [String]
    /// nil if no pings are allowed; otherwise whether only a few are.
    let pingLimited: Bool?

    init(_ plan: Plan, _ family: Family, usesSets: Bool) {
        self.family = family
        answers = plan.answers
        isOpen = plan.isOpen(family)
        let permissions = isOpen ? plan.permissions : []
        admins = isOpen ? Self.whole(plan.answers.admins, family, usesSets: usesSets) : []
        blocked = isOpen ? Self.whole(plan.answers.block, family, usesSets: usesSets) : []
        // A service with many ports has one list, which may be long.
        var known: [(source: Source, rules: [RuleSource])] = []
        let sourced = permissions.map { permission -> Sourced in
            if let found = known.first(where: { $0.source == permission.source }) { return (permission, found.rules) }
            let sources = Self.sources(permission.source, family, usesSets: usesSets)
            known.append((permission.source, sources))
            return (permission, sources)
        }
        ssh = Self.portItems(sourced.filter { $0.0.answer == .ssh }) { _, _ in "ssh" }
        services = Self.portItems(sourced.filter { $0.0.answer != .ssh }) { $0.comment(for: $1) }
        multicast = Self.multicastItems(sourced, family)
        protocols = Self.protocolItems(sourced)
        published = plan.limitsPublishedPorts ? Self.publishedItems(sourced.filter { $0.0.answer != .ssh }) : []
        containerInterfaces = plan.containerInterfaces
        pingLimited =
            permissions.lazy.compactMap { permission -> Bool? in
                if case .ping(let limited) = permission.opening { limited } else { nil }
            }.first
    }

    private typealias Sourced = (permission: Permission, sources: [RuleSource])

    private static func whole(_ list: AddressList, _ family: Family, usesSets: Bool) -> [Whole] {
        RuleSource.all(list, family, usesSets: usesSets).map { Whole(source: $0, title: $0.title(family)) }
    }

    /// The sources that need rules for a permission; the admins need none besides their own.
    private static func sources(_ source: Source, _ family: Family, usesSets: Bool) -> [RuleSource] {
        switch source {
        case .everyone: [.anywhere]
        case .admins: []
        case .networks(let list): RuleSource.all(list, family, usesSets: usesSets)
        }
    }

    private static func portItems(
        _ permissions: [Sourced], comment: (PortGroup, [PortRange]) -> String
    ) -> [Item] {
        struct Key: Hashable, Comparable {
            let source: RuleSource
            let transport: TransportProtocol
            let limit: SourceLimit?
            static func < (left: Key, right: Key) -> Bool {
                if (left.source, left.transport) != (right.source, right.transport) {
                    return (left.source, left.transport) < (right.source, right.transport)
                }
                guard let limit = right.limit else { return false }
                return left.limit.map { $0 < limit } ?? true
            }
        }
        var groups: [Key: PortGroup] = [:]
        for (permission, sources) in permissions {
            guard case .ports(let spec) = permission.opening else { continue }
            for source in sources {
                let key = Key(source: source, transport: spec.transport, limit: SourceLimit(permission))
                groups[key, default: PortGroup()].members.append(
                    PortGroup.Member(range: spec.range, answer: permission.answer, label: spec.description))
            }
        }
        return groups.sorted { $0.key < $1.key }.flatMap { key, group in
            group.chunks.map { ranges in
                Item(
                    source: key.source, ports: RulePorts(transport: key.transport, ranges: ranges), limit: key.limit,
                    comment: comment(group, ranges) + (key.limit.map { ", limit \($0.limit)" } ?? ""))
            }
        }
    }

    /// One rule for each range, because conntrack compares only one.
    private static func publishedItems(_ permissions: [Sourced]) -> [Item] {
        let prefix = "published ports, "
        let items = portItems(permissions) { group, ranges in
            prefix + group.comment(for: ranges, limit: RuleComment.limit - prefix.utf8.count)
        }
        return items.flatMap { item -> [Item] in
            guard let ports = item.ports else { return [] }
            return ports.ranges.map { range in
                Item(
                    source: item.source, ports: RulePorts(transport: ports.transport, ranges: [range]),
                    limit: item.limit, comment: item.comment)
            }
        }
    }

    private static func multicastItems(_ permissions: [Sourced], _ family: Family) -> [Item] {
        var items: [Item] = []
        for (permission, sources) in permissions {
            guard case .multicast(let spec, let groups) = permission.opening,
                case .service(let name) = permission.answer
            else { continue }
            for source in sources {
                for group in groups where group.family == family {
                    items.append(
                        Item(
                            source: source, ports: RulePorts(transport: spec.transport, ranges: [spec.range]),
                            group: group, limit: SourceLimit(permission),
                            comment: RuleComment.text(services: [name], ports: [])))
                }
            }
        }
        return items
    }

    private static func protocolItems(_ permissions: [Sourced]) -> [Item] {
        var items: [Item] = []
        for (permission, sources) in permissions {
            guard case .ipProtocol(let ipProtocol) = permission.opening, case .service(let name) = permission.answer
            else { continue }
            for source in sources {
                items.append(
                    Item(
                        source: source, ipProtocol: ipProtocol, limit: SourceLimit(permission),
                        comment: RuleComment.text(services: [name], ports: [])))
            }
        }
        return items
    }
}

extension RuleLayout {
    /// The sets that the rules use, each once.
    var sets: [AddressSet] {
        let sources = (admins + blocked).map(\.source) + (ssh + services + multicast + protocols).map(\.source)
        return Set(sources.compactMap(\.set)).sorted { $0.name < $1.name }
    }

    /// The number of rules for the longest list of addresses.
    var longestList: Int {
        let items = Dictionary(grouping: ssh + services + multicast + protocols, by: \.comment).values.map(\.count)
        return max(admins.count, blocked.count, items.max() ?? 0)
    }

    /// The condition for a ping: ICMP type 8 (RFC 792), ICMPv6 type 128 (RFC 4443 section 4.1).
    var echoRequest: [Match] {
        family == .ipv4
            ? [.transport("icmp"), .icmp(type: 8)] : [.transport("ipv6-icmp"), .icmpv6(type: 128)]
    }
}

extension IPProtocol {
    /// The condition for the protocol.
    ///
    /// For ip6tables AH is an extension header that `-p` skips: only `-m ah` matches it.
    func match(_ family: Family) -> Match {
        switch (self, family) {
        case (.ah, .ipv6): .words(["-m", "ah"])
        case (.esp, _), (.ah, .ipv4): .transport(rawValue)
        }
    }
}
