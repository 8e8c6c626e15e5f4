import Netfilter
import Policy

/// What firewalld does with incoming packets: the zone of their source or interface decides.
package struct FirewalldFilter: FilterSource {
    private let zones: [FirewalldZone]
    private let services: [String: FirewalldService]
    private let defaultZone: String
    private let ipsets: [String: FirewalldIPSet]
    /// Rules of direct.xml that block, for each family, as iptables takes them.
    private let direct: [Family: [Rule]]
    /// The names of policies about packets to this machine that answers cannot say.
    private let policies: [String]

    /// Zones and what they refer to.
    ///
    /// - Parameters:
    ///   - zones: the zones.
    ///   - services: the services by name.
    ///   - defaultZone: the zone of interfaces that no zone names.
    ///   - direct: rules that come ahead of the zones, for each family.
    ///   - policies: the names of policies about packets to this machine.
    ///   - ipsets: the sets of addresses by name.
    package init(
        zones: [FirewalldZone], services: [String: FirewalldService], defaultZone: String,
        direct: [Family: [Rule]] = [:], policies: [String] = [], ipsets: [String: FirewalldIPSet] = [:]
    ) {
        self.ipsets = ipsets
        self.zones = zones
        self.services = services
        self.defaultZone = defaultZone
        self.direct = direct
        self.policies = policies
    }

    package var interfaces: [String] { Set(zones.flatMap(\.interfaces)).sorted() }

    /// The chains of a family, from a viewpoint.
    package func chains(from viewpoint: Viewpoint) -> FilterChains? {
        var first: [FilterRule] = (direct[viewpoint.family] ?? []).compactMap { rule in
            IPTablesRuleReader.read(rule, title: "direct rule: \(rule.body)", from: viewpoint)
        }
        first += policies.map { name in
            FilterRule("policy \(name)", FilterConditions(), .unknown("the policy \"\(name)\""))
        }
        var rules: [String: [FilterRule]] = [:]
        for zone in zones {
            rules[zone.name] = ZoneRules(zone, services, ipsets, viewpoint).rules
        }
        // In the order of firewalld: by the zone's name.
        for zone in zones.sorted(by: { $0.name < $1.name }) {
            for source in zone.sources {
                var conditions = FilterConditions()
                if let set = ipsets.set(source), !set.networks.isEmpty {
                    let networks = set.networks.filter { $0.family == viewpoint.family }
                    if networks.isEmpty { continue }
                    conditions.sources = networks
                } else if let network = try? CIDR(parsing: source) {
                    guard network.family == viewpoint.family else { continue }
                    conditions.sources = [network]
                } else {
                    conditions.unknown = ["the source \(source)"]
                }
                first.append(FilterRule("zone \(zone.name), source \(source)", conditions, .goto(zone.name)))
            }
        }
        let bound = zones.first { $0.interfaces.contains { viewpoint.isInterface($0, wildcard: "+") == true } }
        let zone = bound?.name ?? defaultZone
        first.append(FilterRule("zone \(zone)", FilterConditions(), .goto(zone)))
        rules[Self.base] = first
        return FilterChains(
            bases: [FilterChains.Base(Self.base, accepts: false, policy: "reject")], rules: rules)
    }

    /// A name that no zone can have.
    private static let base = "/"

    /// What zones say that is not about what this machine accepts, for people.
    package var remarks: [String] {
        zones.filter {
            !$0.forwarding.isEmpty && ($0.name == defaultZone || !$0.interfaces.isEmpty || !$0.sources.isEmpty)
        }
        .map { zone in
            "Zone \(zone.name): \(zone.forwarding.joined(separator: ", ")). Answers don't forward; it ends when "
                + "firewalld stops."
        }
    }
}

/// The rules of one zone, in the order in which a packet passes them.
private struct ZoneRules {
    private(set) var rules: [FilterRule] = []
    private let zone: FirewalldZone
    private let services: [String: FirewalldService]
    private let ipsets: [String: FirewalldIPSet]
    private let viewpoint: Viewpoint

    init(
        _ zone: FirewalldZone, _ services: [String: FirewalldService], _ ipsets: [String: FirewalldIPSet],
        _ viewpoint: Viewpoint
    ) {
        self.zone = zone
        self.ipsets = ipsets
        self.services = services
        self.viewpoint = viewpoint
        let rich = zone.rules.sorted { $0.priority < $1.priority }
        add(rich.filter { $0.priority < 0 })
        add(rich.filter { $0.priority == 0 && $0.verdict == .block })
        if !zone.isInverted { addMessages(zone.icmpBlocks, .block) }
        addOpenings()
        add(rich.filter { $0.priority == 0 && $0.verdict != .block })
        add(rich.filter { $0.priority > 0 })
        if zone.isInverted { addMessages(zone.icmpBlocks, .accept) }
        addTarget()
    }

    private mutating func add(_ title: String, _ traffic: Traffic, _ verdict: FilterVerdict, unknown: [String] = []) {
        rules.append(
            FilterRule("zone \(zone.name): \(title)", FilterConditions(traffic: traffic, unknown: unknown), verdict))
    }

    private mutating func addOpenings() {
        for name in zone.services {
            for conditions in Self.conditions(ofService: name, services, viewpoint) {
                rules.append(FilterRule("zone \(zone.name): service \(name)", conditions, .accept))
            }
        }
        for port in zone.ports { add("port \(port)", Self.ports(port) ?? Traffic(others: true), .accept) }
        for name in zone.protocols { add("protocol \(name)", Self.transport(name, viewpoint.family), .accept) }
        for port in zone.sourcePorts {
            add("source port \(port)", Traffic(tcp: .all, udp: .all), .accept, unknown: ["a source port"])
        }
    }

    private mutating func addMessages(_ types: [String], _ verdict: FilterVerdict) {
        for type in types {
            add("icmp-block \(type)", type == "echo-request" ? .ping : Traffic(messages: true), verdict)
        }
    }

    private mutating func addTarget() {
        switch zone.target {
        case "ACCEPT":
            if zone.isInverted { add("icmp-block-inversion", .icmp, .block) }
            add("target ACCEPT", .all, .accept)
        case "DROP", "REJECT": add("target \(zone.target)", .all, .block)
        default:
            add("ICMP", .icmp, zone.isInverted ? .block : .accept)
            add("target default", .all, .block)
        }
    }

    private mutating func add(_ rich: [FirewalldRichRule]) {
        for rule in rich {
            if let family = rule.family, family != viewpoint.family { continue }
            for conditions in conditions(rule) {
                rules.append(FilterRule("zone \(zone.name): \(rule.text)", conditions, rule.verdict))
            }
        }
    }

    // MARK: - Conditions

    private func conditions(_ rule: FirewalldRichRule) -> [FilterConditions] {
        var common = FilterConditions()
        for part in rule.parts {
            let key = part.attributes
            let isInverted = ["true", "yes"].contains((key["invert"] ?? "").lowercased())
            switch part.name {
            case "source":
                if let name = key["ipset"], let set = ipsets[name], !set.networks.isEmpty {
                    let networks = set.networks.filter { $0.family == viewpoint.family }
                    if isInverted { common.except = networks } else { common.sources = networks }
                    if networks.isEmpty, !isInverted { return [] }
                    continue
                }
                guard let network = key["address"].flatMap(Self.network) else {
                    common.unknown.append("the source \(key["mac"] ?? key["ipset"] ?? key["address"] ?? "")")
                    continue
                }
                guard network.family == viewpoint.family else { return [] }
                if isInverted { common.except = [network] } else { common.sources = [network] }
            case "destination":
                let networks = [key["address"].flatMap(Self.network)].compactMap(\.self)
                switch viewpoint.destination(networks) {
                case .every where !isInverted: break
                case .groups(let groups) where !isInverted: common.groups = groups
                default: common.unknown.append("the destination \(key["address"] ?? key["ipset"] ?? "")")
                }
            case "accept", "drop", "reject":
                if key["limit"] != nil {
                    common.isOnlyLimited = common.unknown.isEmpty
                    common.unknown.append(Self.limit)
                    common.nearLimit = rule.nearLimit
                }
            case "service":
                return Self.conditions(ofService: key["name"] ?? "", services, viewpoint).compactMap {
                    $0.and(withLater(common, rule))
                }
            case "port":
                common.traffic = Self.ports("\(key["port"] ?? "")/\(key["protocol"] ?? "")") ?? Traffic(others: true)
            case "protocol": common.traffic = Self.transport(key["value"] ?? "", viewpoint.family)
            case "icmp-block", "icmp-type":
                common.traffic = key["name"] == "echo-request" ? .ping : Traffic(messages: true)
            case "source-port": common.unknown.append("a source port")
            case "forward-port", "masquerade", "tcp-mss-clamp": return []
            default: break
            }
        }
        return [common]
    }

    /// A service's rule has its limit behind the service.
    private func withLater(_ conditions: FilterConditions, _ rule: FirewalldRichRule) -> FilterConditions {
        var conditions = conditions
        let isLimited = ["accept", "drop", "reject"].contains { rule.part($0)?.attributes["limit"] != nil }
        if isLimited {
            conditions.unknown.append(Self.limit)
            conditions.nearLimit = rule.nearLimit
        }
        return conditions
    }

    /// A limit of firewalld's, as what answers cannot say.
    private static let limit = "the limit of the rule, which counts all sources together"

    private static func network(_ text: String) -> CIDR? {
        if let network = try? CIDR(parsing: text) { return network }
        let parts = text.split(separator: "/")
        guard parts.count == 2, let address = try? IPAddress(parsing: String(parts[0])), let length = Int(parts[1])
        else {
            return nil
        }
        return CIDR(of: address, prefixLength: length)
    }

    /// `8080/tcp`, `6000-6010/udp`; nil for other protocols.
    private static func ports(_ text: String) -> Traffic? { (try? PortSpec(parsing: text)).map { Traffic([$0]) } }

    private static func transport(_ name: String, _ family: Family) -> Traffic {
        switch name {
        case "tcp": Traffic(tcp: .all)
        case "udp": Traffic(udp: .all)
        case "icmp": family == .ipv4 ? .icmp : Traffic(others: true)
        case "ipv6-icmp", "icmpv6": family == .ipv6 ? .icmp : Traffic(others: true)
        case "esp": Traffic(protocols: [.esp])
        case "ah": Traffic(protocols: [.ah])
        default: Traffic(others: true)
        }
    }

    private static func conditions(
        ofService name: String, _ services: [String: FirewalldService], _ viewpoint: Viewpoint, depth: Int = 0
    ) -> [FilterConditions] {
        guard depth < 8, let service = services[name] else {
            return [FilterConditions(traffic: Traffic(others: true), unknown: ["the service \"\(name)\""])]
        }
        var traffic = Traffic.none
        for port in service.ports { traffic = traffic.union(ports(port) ?? Traffic(others: true)) }
        for name in service.protocols { traffic = traffic.union(transport(name, viewpoint.family)) }
        var all: [FilterConditions] = []
        var own = FilterConditions(traffic: traffic)
        if !service.destinations.isEmpty {
            let text = service.destinations[viewpoint.family]
            switch viewpoint.destination([text.flatMap(network)].compactMap(\.self)) {
            case .every: break
            case .groups(let groups): own.groups = groups
            case .never where text == nil: own.traffic = .none
            case .never, .some: own.unknown.append("the destination \(text ?? "")")
            }
        }
        if !own.traffic.isEmpty { all.append(own) }
        if !service.sourcePorts.isEmpty {
            all.append(FilterConditions(traffic: Traffic(tcp: .all, udp: .all), unknown: ["a source port"]))
        }
        return all + service.includes.flatMap { conditions(ofService: $0, services, viewpoint, depth: depth + 1) }
    }
}

extension [String: FirewalldIPSet] {
    /// The set that a zone's source names as `ipset:NAME`.
    fileprivate func set(_ source: String) -> FirewalldIPSet? {
        source.hasPrefix("ipset:") ? self[String(source.dropFirst("ipset:".count))] : nil
    }
}
