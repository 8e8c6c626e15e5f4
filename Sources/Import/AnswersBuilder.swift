import Netfilter
import Policy

/// Makes answers from what another firewall program accepts.
///
/// They never allow more than the program did, with one exception: the present way to log in by SSH stays open.
struct AnswersBuilder {
    /// What an answer allows.
    struct Offer {
        /// Who; nil for everyone.
        var source: CIDR?
        /// The interface that it is for; nil for all of them.
        var interface: String?
        var traffic: Traffic
        /// The answer, such as `services: web`.
        var title: String
    }

    let families: [FamilyAccess]
    /// The sources to block.
    let blocked: [FilterWalk.BlockedSource]
    let catalog: TemplateCatalog
    let machine: ImportMachine
    var answers = Answers()
    var offers: [Offer] = []
    var omitted: [ImportResult.Omitted] = []
    var notes: [String] = []

    /// What all families allow.
    var everyone = Traffic.none
    var networks: [CIDR: Traffic] = [:]
    /// What all families allow everyone through an interface, beyond that.
    var interfaces: [String: Traffic] = [:]
    /// What all families allow everyone through an interface within any limit.
    var limitedThere: [String: Traffic] = [:]
    /// What all families allow everyone as often as a limit says, beyond that.
    var limited: [RateLimit: Traffic] = [:]
    /// The ports as rules name them, larger ranges first.
    var units: [PortSpec] = []

    /// Makes answers.
    ///
    /// - Parameters:
    ///   - families: what the program accepts; a family that it does not filter is not among them.
    ///   - blocked: the sources to block.
    ///   - catalog: the service templates.
    ///   - machine: the machine.
    init(
        _ families: [FamilyAccess], blocked: [FilterWalk.BlockedSource] = [], catalog: TemplateCatalog,
        machine: ImportMachine
    ) {
        self.families = families
        self.blocked = blocked
        self.catalog = catalog
        self.machine = machine
        readAccess()
    }

    /// The answers, and what became of each rule.
    mutating func result() -> ImportResult {
        admins()
        block()
        ssh()
        openings()
        ping()
        answers.existing = .keep
        let imported = rows()
        return ImportResult(
            answers: answers, imported: imported, omitted: omitted, notes: notes, ports: named.ports,
            networks: named.networks)
    }

    /// The ports and networks that rules name, whatever became of them.
    private var named: (ports: [PortSpec], networks: [CIDR]) {
        var ports: Set<PortSpec> = []
        var networks: Set<CIDR> = []
        for family in families {
            let seen = family.grants.map { ($0.source, $0.traffic) } + family.doubts.map { ($0.source, $0.traffic) }
            for (source, traffic) in seen {
                if traffic.specs.count < 100 { ports.formUnion(traffic.specs) }
                if let source, !source.isEverything { networks.insert(source) }
            }
        }
        networks.formUnion(blocked.map(\.source))
        return (ports.sorted(), networks.sorted())
    }

    private mutating func readAccess() {
        let shut = families.first { $0.family == .ipv6 && $0.access == Access() && $0.multicast.isEmpty }
        let counted = families.filter { $0.family != shut?.family }
        if shut != nil { answers.ipv6 = false }
        for (index, family) in counted.enumerated() {
            everyone = index == 0 ? family.access.everyone : everyone.intersection(family.access.everyone)
            networks.merge(family.access.networks) { $0.union($1) }
        }
        readInterfaces(counted)
        readLimits(counted)
        // A family that allows everyone more than the other one is a network of its own.
        for family in counted {
            let more = family.access.everyone.subtracting(everyone)
            let all = Family.allCases.contains(family.family) ? CIDR.everything(family.family) : nil
            if let all, !more.isEmpty { networks[all] = more }
        }
        let named = families.flatMap(\.grants).filter { !$0.isDefault && $0.groups == nil }.flatMap { grant in
            // Everything from a network is no list of ports.
            grant.traffic == .all ? [] : grant.traffic.specs.filter { $0.range.count < 60_000 }
        }
        let isDefault = families.contains { $0.grants.contains(where: \.isDefault) }
        units = Set(named + (isDefault ? machine.listening : [])).sorted { left, right in
            (right.range.count, left) < (left.range.count, right)
        }
    }

    // MARK: - Admins

    private mutating func admins() {
        let full = networks.keys.filter { isFull($0) }.sorted()
        answers.admins = AddressList(full.filter { one in !full.contains { $0 != one && $0.contains(one) } })
        offers += answers.admins.networks.map { Offer(source: $0, traffic: .all, title: "admins") }
        let ways = interfaces.filter { name, traffic in
            !Traffic.all.subtracting(traffic.union(everyone).union(limitedThere[name] ?? .none)).concernsAnswers
        }
        answers.admins.interfaces = ways.keys.sorted().compactMap { try? InterfaceName(parsing: $0) }
        offers += answers.admins.interfaces.map { Offer(interface: $0.text, traffic: .all, title: "admins") }
        for name in answers.admins.interfaces { interfaces[name.text] = nil }
        for network in networks.keys where full.contains(where: { $0.contains(network) }) { networks[network] = nil }
    }

    /// Whether a network may do everything; what limits only SSH for it does not count, because SSH stays open anyway.
    private func isFull(_ network: CIDR) -> Bool {
        // An admin is never blocked.
        if blocked.contains(where: { $0.source.overlaps(network) }) { return false }
        guard !network.isEverything, (try? CIDR(source: "\(network)")) != nil, var traffic = networks[network] else {
            return false
        }
        traffic = traffic.union(everyone)
        let ssh = Traffic(sshPorts.map { PortSpec(range: PortRange($0), transport: .tcp) })
        for doubt in families.flatMap(\.doubts) where doubt.isBroad && doubt.source?.contains(network) ?? true {
            traffic = traffic.union(doubt.traffic.intersection(ssh))
        }
        return !Traffic.all.subtracting(traffic).concernsAnswers
    }

    // MARK: - Services and ports

    private mutating func openings() {
        let ssh = Traffic((answers.ssh?.ports ?? []).map { PortSpec(range: PortRange($0), transport: .tcp) })
        let sshFrom = answers.ssh?.from ?? .everyone
        let rest = sshFrom == .everyone ? everyone.subtracting(ssh) : everyone
        let open = pieces(of: rest)
        let services = templates(open, protocols: rest.protocols)
        var left = Set(open)
        for template in services {
            answers.services.append(
                ServiceChoice(template.name, from: template.audience == .everyone ? nil : .everyone))
            left.subtract(template.ports)
            let traffic = Traffic(template.ports).union(Traffic(protocols: Set(template.protocols)))
            offers.append(Offer(source: nil, traffic: traffic, title: "services: \(template.name)"))
        }
        let ports = PortSpec.merged(left)
        answers.ports = ports.map { PortChoice($0) }
        offers += ports.map { Offer(source: nil, traffic: Traffic([$0]), title: "ports: \($0)") }
        for template in nearlyOpen(open) {
            let more = template.ports.filter { !rest.contains($0) }.map(\.description).joined(separator: ", ")
            if more.isEmpty { continue }
            notes.append("The service \"\(template.name)\" was not chosen, because it also opens \(more).")
        }
        multicast()
        rateLimited(ssh: ssh)
        limitedServices(open: Set(open), ssh: ssh)
    }

    /// The ports of traffic as rules name them.
    func pieces(of traffic: Traffic) -> [PortSpec] {
        var rest = traffic
        var pieces: [PortSpec] = []
        for unit in units {
            let here = rest.intersection(Traffic([unit]))
            pieces += here.specs
            rest = rest.subtracting(here)
        }
        return pieces
    }

    /// The templates whose ports are all among these, those with most ports first; not those that another one equals.
    func templates(_ open: [PortSpec], protocols: Set<IPProtocol>) -> [ServiceTemplate] {
        var left = Set(open)
        let all = catalog.all.filter { $0.multicast.isEmpty && $0.name != "ssh" && !$0.ports.isEmpty }
        var chosen: [ServiceTemplate] = []
        for template in all.sorted(by: { ($1.ports.count, $0.name) < ($0.ports.count, $1.name) }) {
            let isThere = left.isSuperset(of: template.ports) && protocols.isSuperset(of: template.protocols)
            let isUnique = !all.contains {
                $0.name != template.name && $0.ports == template.ports && $0.protocols == template.protocols
            }
            guard isThere, isUnique else { continue }
            chosen.append(template)
            left.subtract(template.ports)
        }
        return chosen.sorted { $0.name < $1.name }
    }

    /// The templates that lack one of several ports.
    private func nearlyOpen(_ open: [PortSpec]) -> [ServiceTemplate] {
        catalog.all.filter { template in
            let missing = template.ports.count { !open.contains($0) }
            return template.multicast.isEmpty && missing == 1 && template.ports.count > 2
        }
    }

    /// Services for multicast groups, such as mDNS.
    private mutating func multicast() {
        for template in catalog.all where !template.multicast.isEmpty {
            let isOpen = template.multicast.allSatisfy { group in
                if group.family == .ipv6, !answers.ipv6 { return true }
                let family = families.first { $0.family == group.family }
                guard let family else { return !machine.families.contains(group.family) }
                // From every side.
                return template.ports.allSatisfy { port in
                    family.multicast.filter { $0.group == group && $0.traffic.contains(port) }.count
                        >= machine.viewpoints(group.family).count
                }
            }
            guard isOpen, families.contains(where: { !$0.multicast.isEmpty }) else { continue }
            answers.services.append(
                ServiceChoice(template.name, from: template.audience == .everyone ? nil : .everyone))
        }
    }

    // MARK: - Ping

    private mutating func ping() {
        if everyone.ping {
            answers.ping = .everyone
            offers.append(Offer(source: nil, traffic: .ping, title: "ping: everyone"))
        } else if everyone.limitedPing {
            answers.ping = .limited
            offers.append(Offer(source: nil, traffic: Traffic(limitedPing: true), title: "ping: limited"))
        }
    }
}

extension CIDR {
    /// Every address of a family.
    static func everything(_ family: Family) -> CIDR {
        let bytes = [UInt8](repeating: 0, count: family == .ipv4 ? 4 : 16)
        let lowest = IPAddress(bytes: bytes).flatMap { CIDR(of: $0, prefixLength: 0) }
        guard let lowest else { preconditionFailure("an address has 4 or 16 bytes") }
        return lowest
    }
}

extension PortSpec {
    /// The ports in as few ranges as possible, without joining ranges that only touch.
    static func merged(_ specs: some Sequence<PortSpec>) -> [PortSpec] {
        let all = Set(specs)
        return all.filter { spec in
            !all.contains {
                $0 != spec && $0.transport == spec.transport && $0.range.lower <= spec.range.lower
                    && spec.range.upper <= $0.range.upper
            }
        }.sorted()
    }
}
