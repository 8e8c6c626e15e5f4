import Netfilter
import Policy

// What answers limit: to interfaces, to networks, to a number of connections, and what they block.
extension AnswersBuilder {
    /// Who may reach something besides everyone.
    private enum Origin: Hashable, Comparable {
        case network(CIDR)
        case interface(String)
    }

    /// Reads what is open on some interfaces only.
    mutating func readInterfaces(_ counted: [FamilyAccess]) {
        for name in Set(counted.flatMap(\.byInterface.keys)) where (try? InterfaceName(parsing: name)) != nil {
            let each = counted.map { $0.byInterface[name]?.everyone ?? .none }
            guard let first = each.first else { continue }
            let more = each.dropFirst().reduce(first) { $0.intersection($1) }.subtracting(everyone)
            if more.concernsAnswers { interfaces[name] = more }
            // What a limit allows counts towards the access of an admin, whom no limit counts.
            let all = counted.map { family -> Traffic in
                let limits = family.byInterface[name]?.limited ?? [:]
                return limits.values.reduce(Traffic.none) { $0.union($1) }
            }
            limitedThere[name] = all.dropFirst().reduce(all.first ?? Traffic.none) { $0.intersection($1) }
        }
    }

    /// Reads what everyone may within a limit.
    mutating func readLimits(_ counted: [FamilyAccess]) {
        guard let first = counted.first?.access else { return }
        limited = counted.dropFirst().reduce(first) { $0.intersection($1.access) }.limited
            .mapValues { $0.subtracting(everyone) }.filter { !$0.value.isEmpty }
    }

    // MARK: - Blocked sources

    /// Blocks sources ahead of everything.
    mutating func block() {
        let counted = blocked.filter { answers.ipv6 || $0.source.family == .ipv4 }
        let sources = Set(counted.map(\.source))
        answers.block = AddressList(
            sources.filter { one in !sources.contains { $0 != one && $0.contains(one) } }.sorted())
        for entry in counted {
            var open = entry.open
            open.messages = false
            open.others = false
            guard open.concernsAnswers else { continue }
            let opened = open.specs.count > 8 || open.specs.contains { $0.range.count > 1_000 }
            omitted.append(
                ImportResult.Omitted(
                    rule: entry.rule,
                    reason: "answers block a source altogether, and this rule does not, or comes behind others",
                    effect: opened
                        ? "closed: everything from \(entry.source)" : "closed: also \(open) from \(entry.source)"))
        }
        if !answers.block.isEmpty, !answers.admins.interfaces.isEmpty {
            notes.append("What comes in through an interface among the admins is not blocked, whatever its source.")
        }
    }

    // MARK: - Limits

    /// Services and ports that everyone may reach within a limit.
    mutating func rateLimited(ssh: Traffic) {
        for (limit, traffic) in limited.sorted(by: { $0.key.description < $1.key.description }) {
            let rest = answers.ssh?.from == .everyone ? traffic.subtracting(ssh) : traffic
            let open = pieces(of: rest)
            var left = Set(open)
            for template in templates(open, protocols: [])
            where !answers.services.contains(where: { $0.name == template.name }) {
                answers.services.append(
                    ServiceChoice(
                        template.name, from: template.audience == .everyone ? nil : .everyone, limit: limit))
                left.subtract(template.ports)
                offers.append(
                    Offer(traffic: Traffic(template.ports), title: "services: \(template.name), limit \(limit)"))
            }
            for port in PortSpec.merged(left) {
                answers.ports.append(PortChoice(port, limit: limit))
                offers.append(Offer(traffic: Traffic([port]), title: "ports: \(port), limit \(limit)"))
            }
            let rules = Set(families.flatMap(\.grants).filter { $0.limit == limit }.compactMap(\.limitRule)).sorted()
            for rule in rules where rest != .none || answers.ssh?.limit == limit {
                notes.append(
                    "\(rule): the answers allow one address \(limit.words), and after that one more each "
                        + "\(Self.pause(limit)). The old rule may refuse an address for as long as it keeps trying, and "
                        + "counts the ports of several rules together.")
            }
        }
    }

    private static func pause(_ limit: RateLimit) -> String {
        let seconds = max(1, limit.seconds / limit.count)
        return seconds < 120 ? "\(seconds) s" : "\(seconds / 60) min"
    }

    // MARK: - Networks and interfaces

    /// Services and further ports that only some networks may reach, or everyone through some interfaces.
    mutating func limitedServices(open: Set<PortSpec>, ssh: Traffic) {
        var sources: [PortSpec: Set<Origin>] = [:]
        for (network, traffic) in networks where (try? CIDR(source: "\(network)")) != nil {
            for piece in pieces(of: traffic.subtracting(Traffic(open))) where !ssh.contains(piece) {
                sources[piece, default: []].insert(.network(network))
            }
        }
        for (interface, traffic) in interfaces {
            for piece in pieces(of: traffic.subtracting(Traffic(open))) where !ssh.contains(piece) {
                sources[piece, default: []].insert(.interface(interface))
            }
        }
        let groups = Dictionary(grouping: sources.keys) { sources[$0] ?? [] }
        for (from, ports) in groups.sorted(by: { ($0.value.min() ?? $0.value[0]) < ($1.value.min() ?? $1.value[0]) }) {
            add(ports, from: from.sorted())
        }
    }

    private mutating func add(_ ports: [PortSpec], from origins: [Origin]) {
        var list: AddressList = []
        for origin in origins {
            switch origin {
            case .network(let network): list.networks.append(network)
            case .interface(let name): list.interfaces += [try? InterfaceName(parsing: name)].compactMap(\.self)
            }
        }
        let names = list.sources.joined(separator: ", ")
        func offers(_ ports: [PortSpec], _ title: String) -> [Offer] {
            let title = "\(title), from \(names)"
            return list.networks.map { Offer(source: $0, traffic: Traffic(ports), title: title) }
                + list.interfaces.map { Offer(interface: $0.text, traffic: Traffic(ports), title: title) }
        }
        var rest = Set(ports)
        for template in templates(ports, protocols: [])
        where !answers.services.contains(where: { $0.name == template.name }) {
            answers.services.append(ServiceChoice(template.name, from: .networks(list)))
            rest.subtract(template.ports)
            self.offers += offers(template.ports, "services: \(template.name)")
        }
        // What is open over one family only is told instead.
        guard !list.networks.contains(where: \.isEverything) else { return }
        for port in PortSpec.merged(rest) {
            answers.ports.append(PortChoice(port, from: .networks(list)))
            self.offers += offers([port], "ports: \(port)")
        }
    }
}
