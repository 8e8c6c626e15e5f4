import Netfilter
import Policy

/// A plan laid out for the template of the backend nftables: both families in one table, and as few rules as possible,
/// however many services, ports and addresses there are.
struct TableLayout {
    private typealias Values = [String: RuleTemplateValue]

    private let plan: Plan
    /// The families of the admins, services and ports: without IPv6 where the answers switch it off.
    private let families: [Family]
    /// Where packets come from, for every source that is not everyone.
    private let origins: [(source: Source, all: [TableOrigin])]
    /// Where packets are dropped from.
    private let blocked: [TableOrigin]

    init(_ plan: Plan) {
        self.plan = plan
        let families = Family.allCases.filter(plan.isOpen)
        self.families = families
        var origins: [(source: Source, all: [TableOrigin])] = []
        for permission in plan.permissions where !origins.contains(where: { $0.source == permission.source }) {
            let list: AddressList? =
                switch permission.source {
                case .everyone: nil
                // The admins need no rule beside their own.
                case .admins: permission.answer == .admins ? plan.answers.admins : nil
                case .networks(let list): list
                }
            guard let list else { continue }
            origins.append((permission.source, TableOrigin.all(list, families)))
        }
        self.origins = origins
        blocked = TableOrigin.all(plan.answers.block, families)
    }

    /// The sets that the rules use, each once.
    var sets: [NFTable.Part] {
        let addresses = Set((origins.flatMap(\.all) + blocked).compactMap(\.set)).sorted { $0.name < $1.name }
        let limits = Set(plan.permissions.compactMap(SourceLimit.init)).sorted()
        return addresses.map(\.part) + limits.flatMap { limit in families.map { limit.set($0) } }
    }

    /// The values for the template, by the names that it uses.
    var templateValues: [String: RuleTemplateValue] {
        let isPinged = { (limited: Bool) in
            RuleTemplateValue.flag(plan.permissions.contains { $0.opening == .ping(limited: limited) })
        }
        let admins = origins(of: .admins).map(\.values)
        return [
            "ipv6": .flag(families.contains(.ipv6)),
            "ipv6Ahead": .flag(families.contains(.ipv6) && !blocked.isEmpty),
            "admins": .groups(blocked.isEmpty ? admins : []),
            "adminsAhead": .groups(blocked.isEmpty ? [] : admins),
            "blocked": .groups(blocked.map(\.values)),
            "ssh": .groups(ssh),
            "open": open,
            "limited": .groups(limited),
            "counted": .groups(counted),
            "docker": .flag(plan.limitsPublishedPorts),
            "containers": .groups(plan.containerInterfaces.map { ["prefix": .text($0)] }),
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
        "docker", "containers", "prefix", "interface", "published", "ipv6", "ipv6Ahead", "admins", "adminsAhead",
        "blocked",
        "ssh", "open", "limited", "counted", "counter", "key", "rate", "multicast", "protocols", "pingLimited",
        "pingEveryone", "log", "family", "saddr", "set", "source", "sources", "port", "ports", "elements", "group",
        "transport", "protocol", "comment",
    ]

    // MARK: - Rules

    private func origins(of source: Source) -> [TableOrigin] { origins.first { $0.source == source }?.all ?? [] }

    /// The rules for a source in one family: one for everyone, or one for its addresses and each interface.
    private func sourced(_ source: Source, _ family: Family) -> [Values] {
        switch source {
        case .everyone: [TableOrigin.anywhere]
        case .admins: []
        case .networks: origins(of: source).filter { $0.isOf(family) }.map(\.values)
        }
    }

    /// The rules for a source in all families: a limit needs one for each, because it counts addresses.
    private func sourced(_ source: Source, _ limit: SourceLimit?) -> [Values] {
        if let limit {
            return families.flatMap { family in
                sourced(source, family).map { $0.merging(Self.counting(limit, family)) { $1 } }
            }
        }
        let all = source == .everyone ? [TableOrigin.anywhere] : origins(of: source).map(\.values)
        return source == .admins ? [] : all.map { $0.merging(Self.counting(nil, .ipv4)) { $1 } }
    }

    /// The values that count a packet against a limit.
    private static func counting(_ limit: SourceLimit?, _ family: Family) -> Values {
        [
            "counter": value(limit?.setName(family)), "key": value(limit.map { _ in SourceLimit.key(family) }),
            "rate": value(limit?.nftablesRate),
        ]
    }

    /// The ports of a permission without a limit; nil for other openings.
    private static func unlimited(_ permission: Permission) -> PortSpec? {
        permission.limit == nil ? permission.opening.portSpec : nil
    }

    /// SSH, where only some may log in.
    private var ssh: [Values] {
        let permissions = plan.permissions.filter {
            $0.answer == .ssh && $0.source != .everyone && $0.limit == nil
        }
        let ranges = PortRange.merged(permissions.compactMap(\.opening.portSpec?.range))
        guard let first = permissions.first else { return [] }
        return sourced(first.source, nil).map { $0.merging(Self.ports(ranges)) { $1 } }
    }

    /// The ports with a limit: one rule for each source and family.
    private var counted: [Values] {
        struct Key: Hashable {
            let source: Source
            let limit: SourceLimit
        }
        var keys: [Key] = []
        var groups: [Key: [Permission]] = [:]
        for permission in plan.permissions where permission.opening.portSpec != nil {
            guard let limit = SourceLimit(permission) else { continue }
            let key = Key(source: permission.source, limit: limit)
            if groups[key] == nil { keys.append(key) }
            groups[key, default: []].append(permission)
        }
        return keys.flatMap { key -> [Values] in
            let own = groups[key] ?? []
            let end = ", limit \(key.limit.limit)"
            let text = comment(own.contains, limit: RuleComment.nftablesLimit - end.utf8.count) + end
            let elements = Self.elements(own.compactMap(\.opening.portSpec).map { ($0, []) })
            return sourced(key.source, key.limit).map { rule in
                rule.merging([
                    "elements": .text(elements.joined(separator: ", ")),
                    "comment": .text(Rule.ownershipPrefix + text),
                ]) { $1 }
            }
        }
    }

    /// All ports that are open to everyone.
    private var open: RuleTemplateValue {
        let permissions = plan.permissions.filter { $0.source == .everyone && Self.unlimited($0) != nil }
        guard !permissions.isEmpty else { return .flag(false) }
        return .groups([
            [
                "elements": .text(
                    Self.elements(permissions.compactMap(Self.unlimited).map { ($0, []) }).joined(separator: ", ")),
                "comment": .text(Rule.ownershipPrefix + comment(permissions.contains)),
            ]
        ])
    }

    /// The ports that only some may reach: one rule for each family, and one for each long list of addresses and each
    /// interface.
    private var limited: [Values] {
        let permissions = plan.permissions.filter { permission in
            permission.limits != nil && permission.answer != .ssh && Self.unlimited(permission) != nil
        }
        var rules: [Values] = []
        for family in families {
            var short: [(PortSpec, [CIDR])] = []
            var answers: [Permission] = []
            for permission in permissions {
                guard let ports = permission.opening.portSpec,
                    let origin = origins(of: permission.source).first(where: { $0.family == family }), origin.set == nil
                else { continue }
                short.append((ports, origin.networks))
                answers.append(permission)
            }
            guard !short.isEmpty else { continue }
            rules.append([
                "saddr": .text(TableOrigin.saddr(family)), "set": .flag(false), "interface": .flag(false),
                "elements": .text(Self.elements(short).joined(separator: ", ")),
                "comment": .text(Rule.ownershipPrefix + comment(answers.contains)),
            ])
        }
        for (source, all) in origins where permissions.contains(where: { $0.source == source }) {
            let own = permissions.filter { $0.source == source }
            let elements = Self.elements(own.compactMap(\.opening.portSpec).map { ($0, []) })
            for origin in all where origin.set != nil || origin.interface != nil {
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
        struct Key: Hashable {
            let source: Source
            let limit: SourceLimit?
        }
        let prefix = "published ports, "
        var keys: [Key] = []
        for permission in plan.publishedPermissions {
            let key = Key(source: permission.source, limit: SourceLimit(permission))
            if !keys.contains(key) { keys.append(key) }
        }
        return keys.flatMap { key in
            TransportProtocol.allCases.flatMap { transport -> [Values] in
                let own = plan.publishedPermissions.filter {
                    $0.source == key.source && SourceLimit($0) == key.limit
                        && $0.opening.portSpec?.transport == transport
                }
                guard !own.isEmpty else { return [] }
                let rest: Values = [
                    "transport": .text(transport.rawValue),
                    "comment": .text(
                        Rule.ownershipPrefix + prefix
                            + comment(own.contains, limit: RuleComment.nftablesLimit - prefix.utf8.count)),
                ]
                return sourced(key.source, key.limit).flatMap { rule in
                    PortRange.merged(own.compactMap(\.opening.portSpec?.range)).map { range in
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
                sourced(permission.source, group.family).map { source in
                    source.merging(Self.ports([spec.range])) { $1 }
                        .merging(Self.counting(SourceLimit(permission), group.family)) { $1 }.merging([
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
                return sourced(permission.source, family).map { source in
                    source.merging(Self.counting(SourceLimit(permission), family)) { $1 }.merging([
                        "protocol": .text(match),
                        "comment": .text(Rule.ownershipPrefix + comment { $0 == permission }),
                    ]) { $1 }
                }
            }
        }
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

    static func value(_ text: String?) -> RuleTemplateValue { text.map { .text($0) } ?? .flag(false) }

    /// The comment of a rule: the services and ports that some permissions come from.
    private func comment(
        _ isMeant: (Permission) -> Bool, limit room: Int = RuleComment.nftablesLimit
    ) -> String {
        var services: [String] = []
        var ports: [String] = []
        for permission in plan.permissions where isMeant(permission) {
            switch permission.answer {
            case .service(let name): if !services.contains(name) { services.append(name) }
            case .ports: if let label = permission.opening.portSpec?.description { ports.append(label) }
            case .admins, .ssh, .ping, .block: break
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
