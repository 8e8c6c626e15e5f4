import Netfilter
import Policy

/// A plan laid out for the template of the backend nftables: both families in one table, and as few rules as possible,
/// however many services, ports and addresses there are.
struct TableLayout {
    /// Where packets come from, in one family: a single network, a short list, or a set with a name.
    private struct Origin {
        let family: Family
        let networks: [CIDR]
        let set: AddressSet?

        init(_ list: AddressList, _ family: Family) {
            self.family = family
            networks = CIDR.merged(list.all.filter { $0.family == family })
            set = networks.count > AddressSet.threshold ? AddressSet(networks, family) : nil
        }

        var values: [String: RuleTemplateValue] {
            [
                "family": .text(family == .ipv4 ? "ip" : "ip6"),
                "set": TableLayout.value(set?.name),
                "source": TableLayout.value(set == nil && networks.count == 1 ? networks[0].description : nil),
                "sources": TableLayout.value(set == nil && networks.count > 1 ? TableLayout.list(networks) : nil),
            ]
        }
    }

    private typealias Values = [String: RuleTemplateValue]

    private let plan: Plan
    /// The families of the admins, services and ports: without IPv6 where the answers switch it off.
    private let families: [Family]
    /// Where packets come from, for every source that is not everyone.
    private let origins: [(source: Source, all: [Origin])]

    init(_ plan: Plan) {
        self.plan = plan
        families = Family.allCases.filter(plan.isOpen)
        var origins: [(source: Source, all: [Origin])] = []
        for permission in plan.permissions where !origins.contains(where: { $0.source == permission.source }) {
            let list: AddressList? =
                switch permission.source {
                case .everyone: nil
                // The admins need no rule beside their own.
                case .admins: permission.answer == .admins ? plan.answers.admins : nil
                case .networks(let list): list
                }
            guard let list else { continue }
            let all = Family.allCases.filter(plan.isOpen).map { Origin(list, $0) }.filter { !$0.networks.isEmpty }
            origins.append((permission.source, all))
        }
        self.origins = origins
    }

    /// The sets that the rules use, each once.
    var sets: [AddressSet] {
        Set(origins.flatMap(\.all).compactMap(\.set)).sorted { $0.name < $1.name }
    }

    /// The values for the template, by the names that it uses.
    var templateValues: [String: RuleTemplateValue] {
        let isPinged = { (limited: Bool) in
            RuleTemplateValue.flag(plan.permissions.contains { $0.opening == .ping(limited: limited) })
        }
        return [
            "ipv6": .flag(families.contains(.ipv6)),
            "admins": .groups(origins(of: .admins).map(\.values)),
            "ssh": .groups(ssh),
            "open": open,
            "limited": .groups(limited),
            "docker": .flag(plan.limitsPublishedPorts),
            "containers": .groups(plan.containerInterfaces.map { ["interface": .text($0)] }),
            "published": .groups(published),
            "multicast": .groups(multicast),
            "protocols": .groups(protocols),
            "pingLimited": isPinged(true),
            "pingEveryone": isPinged(false),
            "log": .flag(plan.answers.log),
        ]
    }

    /// Every name that the template may use.
    static let templateNames: Set<String> = [
        "docker", "containers", "interface", "published", "ipv6", "admins", "ssh", "open", "limited", "multicast",
        "protocols", "pingLimited",
        "pingEveryone", "log", "family", "set", "source", "sources", "port", "ports", "elements", "group", "transport",
        "protocol", "comment",
    ]

    // MARK: - Rules

    private func origins(of source: Source) -> [Origin] { origins.first { $0.source == source }?.all ?? [] }

    /// The rules for a permission: one for everyone, or one for each family of its addresses.
    private func sourced(_ source: Source) -> [Values] {
        switch source {
        case .everyone:
            [["family": .flag(false), "set": .flag(false), "source": .flag(false), "sources": .flag(false)]]
        case .admins: []
        case .networks: origins(of: source).map(\.values)
        }
    }

    /// SSH, where only some may log in.
    private var ssh: [Values] {
        let permissions = plan.permissions.filter { $0.answer == .ssh && $0.source != .everyone }
        let ranges = PortRange.merged(permissions.compactMap(\.ports?.range))
        guard let first = permissions.first else { return [] }
        return sourced(first.source).map { $0.merging(Self.ports(ranges)) { $1 } }
    }

    /// All ports that are open to everyone.
    private var open: RuleTemplateValue {
        let permissions = plan.permissions.filter { $0.source == .everyone && $0.ports != nil }
        guard !permissions.isEmpty else { return .flag(false) }
        return .groups([
            [
                "elements": .text(
                    Self.elements(permissions.compactMap(\.ports).map { ($0, []) }).joined(separator: ", ")),
                "comment": .text(Rule.ownershipPrefix + comment(permissions.contains)),
            ]
        ])
    }

    /// The ports that only some may reach: one rule for each family, and one for each long list of addresses.
    private var limited: [Values] {
        let permissions = plan.permissions.filter { permission in
            if case .networks = permission.source {
                permission.answer != .ssh && permission.ports != nil
            } else {
                false
            }
        }
        var rules: [Values] = []
        for family in families {
            var short: [(PortSpec, [CIDR])] = []
            var answers: [Permission] = []
            for permission in permissions {
                guard let ports = permission.ports,
                    let origin = origins(of: permission.source).first(where: { $0.family == family }), origin.set == nil
                else { continue }
                short.append((ports, origin.networks))
                answers.append(permission)
            }
            guard !short.isEmpty else { continue }
            rules.append([
                "family": .text(family == .ipv4 ? "ip" : "ip6"), "set": .flag(false),
                "elements": .text(Self.elements(short).joined(separator: ", ")),
                "comment": .text(Rule.ownershipPrefix + comment(answers.contains)),
            ])
        }
        for (source, all) in origins where permissions.contains(where: { $0.source == source }) {
            let own = permissions.filter { $0.source == source }
            let elements = Self.elements(own.compactMap(\.ports).map { ($0, []) })
            for origin in all where origin.set != nil {
                rules.append(
                    origin.values.merging([
                        "elements": .text(elements.joined(separator: ", ")),
                        "comment": .text(Rule.ownershipPrefix + comment(own.contains)),
                    ]) { $1 })
            }
        }
        return rules
    }

    /// The ports that services and further ports open, for published ports: one rule for each source and range.
    ///
    /// nft 1.0.6 lists a set of original ports in a form that it does not read.
    private var published: [Values] {
        let prefix = "published ports, "
        var sources: [Source] = []
        for permission in plan.publishedPermissions where !sources.contains(permission.source) {
            sources.append(permission.source)
        }
        return sources.flatMap { source in
            TransportProtocol.allCases.flatMap { transport -> [Values] in
                let own = plan.publishedPermissions.filter { $0.source == source && $0.ports?.transport == transport }
                guard !own.isEmpty else { return [] }
                let rest: Values = [
                    "transport": .text(transport.rawValue),
                    "comment": .text(
                        Rule.ownershipPrefix + prefix
                            + comment(own.contains, limit: RuleComment.nftablesLimit - prefix.utf8.count)),
                ]
                return sourced(source).flatMap { rule in
                    PortRange.merged(own.compactMap(\.ports?.range)).map { range in
                        rule.merging(Self.ports([range])) { $1 }.merging(rest) { $1 }
                    }
                }
            }
        }
    }

    private var multicast: [Values] {
        plan.permissions.flatMap { permission -> [Values] in
            guard case .multicast(let spec, let groups) = permission.opening else { return [] }
            return groups.filter { families.contains($0.family) }.flatMap { group in
                sourced(permission.source).filter { Self.isOf(group.family, $0) }.map { source in
                    source.merging(Self.ports([spec.range])) { $1 }.merging([
                        "family": .text(group.family == .ipv4 ? "ip" : "ip6"),
                        "group": .text(group.description), "transport": .text(spec.transport.rawValue),
                        "comment": .text(Rule.ownershipPrefix + comment { $0 == permission }),
                    ]) { $1 }
                }
            }
        }
    }

    /// Protocols without ports.
    ///
    /// IPv6 reads AH as an extension header, which only the first `nexthdr` shows.
    private var protocols: [Values] {
        plan.permissions.flatMap { permission -> [Values] in
            guard case .ipProtocol(let ipProtocol) = permission.opening else { return [] }
            return families.flatMap { family -> [Values] in
                let match =
                    switch (ipProtocol, family) {
                    case (.ah, .ipv6): "ip6 nexthdr ah"
                    case (.esp, .ipv6): "ip6 nexthdr esp"
                    case (_, .ipv4): "ip protocol \(ipProtocol.rawValue)"
                    }
                return sourced(permission.source).filter { Self.isOf(family, $0) }.map { source in
                    source.merging([
                        "family": .text(family == .ipv4 ? "ip" : "ip6"), "protocol": .text(match),
                        "comment": .text(Rule.ownershipPrefix + comment { $0 == permission }),
                    ]) { $1 }
                }
            }
        }
    }

    private static func isOf(_ family: Family, _ source: Values) -> Bool {
        guard case .text(let name) = source["family"] else { return true }
        return name == (family == .ipv4 ? "ip" : "ip6")
    }

    private static func ports(_ ranges: [PortRange]) -> Values {
        let list = ranges.map(\.description).joined(separator: ", ")
        let isSingle = ranges.count == 1
        return ["port": isSingle ? .text(list) : .flag(false), "ports": isSingle ? .flag(false) : .text(list)]
    }

    // MARK: - Texts

    /// The elements of a concatenated set, none of which overlaps another: the kernel refuses those that do.
    ///
    /// - Parameter openings: ports, and the networks from which they may be reached; none for elements without a network.
    /// - Returns: such as `192.0.2.0/24 . tcp . 25`.
    private static func elements(_ openings: [(ports: PortSpec, networks: [CIDR])]) -> [String] {
        TransportProtocol.allCases.flatMap { transport -> [String] in
            let own = openings.filter { $0.ports.transport == transport }
            // Between two bounds the same networks are allowed.
            let bounds = Set(own.flatMap { [Int($0.ports.range.lower), Int($0.ports.range.upper) + 1] }).sorted()
            var segments: [(range: PortRange, networks: [CIDR])] = []
            for (lower, end) in zip(bounds, bounds.dropFirst()) {
                let range = PortRange(lower: UInt16(lower), upper: UInt16(end - 1))
                let covering = own.filter { $0.ports.range.lower <= range.lower && range.upper <= $0.ports.range.upper }
                guard !covering.isEmpty else { continue }
                let networks = CIDR.merged(covering.flatMap(\.networks))
                if let last = segments.last, last.networks == networks, Int(last.range.upper) + 1 == lower {
                    let joined = PortRange(lower: last.range.lower, upper: range.upper)
                    segments[segments.count - 1] = (joined, networks)
                } else {
                    segments.append((range, networks))
                }
            }
            return segments.flatMap { range, networks in
                networks.isEmpty
                    ? ["\(transport.rawValue) . \(range)"]
                    : networks.map { "\($0.description) . \(transport.rawValue) . \(range)" }
            }
        }
    }

    fileprivate static func list(_ networks: [CIDR]) -> String { networks.map(\.description).joined(separator: ", ") }

    fileprivate static func value(_ text: String?) -> RuleTemplateValue { text.map { .text($0) } ?? .flag(false) }

    /// The comment of a rule: the services and ports that some permissions come from.
    private func comment(
        _ isMeant: (Permission) -> Bool, limit room: Int = RuleComment.nftablesLimit
    ) -> String {
        var services: [String] = []
        var ports: [String] = []
        for permission in plan.permissions where isMeant(permission) {
            switch permission.answer {
            case .service(let name): if !services.contains(name) { services.append(name) }
            case .ports: if let label = permission.ports?.description { ports.append(label) }
            case .admins, .ssh, .ping: break
            }
        }
        let hasSSH = plan.permissions.contains { $0.answer == .ssh && isMeant($0) }
        guard hasSSH else {
            return RuleComment.text(services: services, ports: ports, limit: room)
        }
        guard !(services + ports).isEmpty else { return "ssh" }
        let limit = room - "ssh; ".utf8.count
        return "ssh; " + RuleComment.text(services: services, ports: ports, limit: limit)
    }
}

extension Permission {
    /// The ports that it opens; nil for other openings.
    fileprivate var ports: PortSpec? { if case .ports(let spec) = opening { spec } else { nil } }
}

extension AddressSet {
    /// The set as a part of a table.
    var part: NFTable.Part {
        let elements = networks.map(\.description).joined(separator: ",\n\t\t\t     ")
        return NFTable.Part(
            "set", name,
            lines: [
                "type \(family == .ipv4 ? "ipv4_addr" : "ipv6_addr")", "flags interval", "elements = { \(elements) }",
            ])
    }
}
