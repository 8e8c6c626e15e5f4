import Netfilter
import Policy

// What became of each rule.
extension AnswersBuilder {
    /// What became of each rule.
    mutating func rows() -> [ImportResult.Imported] {
        var imported: [ImportResult.Imported] = []
        var gone: [String: (reason: String, traffic: Traffic, source: CIDR?)] = [:]
        var order: [String] = []
        // A rule for everyone is not said by what one interface may besides.
        let ways = Dictionary(grouping: families.flatMap(\.grants), by: \.rule).mapValues { Set($0.map(\.interface)) }
        let specific = Set(ways.filter { !$0.value.isSuperset(of: machine.interfaces) }.keys)
        let doubtful = Set(families.flatMap(\.doubts).map(\.rule))
        for family in families {
            for grant in family.grants {
                if let groups = grant.groups {
                    multicastRow(grant, groups, &imported)
                    continue
                }
                let source = grant.source ?? CIDR.everything(family.family)
                let (titles, rest) = covered(
                    source, grant.traffic, on: specific.contains(grant.rule) ? grant.interface : nil)
                let text = titles.joined(separator: "; ")
                let row = ImportResult.Imported(rule: grant.rule, answer: text)
                let isSaid = !rest.concernsAnswers
                if !titles.isEmpty, !imported.contains(row), !grant.isDefault || isSaid { imported.append(row) }
                // Such a rule has a row of its own below.
                if isSaid || titles.isEmpty && doubtful.contains(grant.rule) { continue }
                if family.family == .ipv6, !answers.ipv6 { continue }
                if gone[grant.rule] == nil { order.append(grant.rule) }
                gone[grant.rule] = (reason(grant, source, rest), rest, grant.source)
            }
        }
        for rule in order {
            guard let (reason, traffic, source) = gone[rule] else { continue }
            omit(rule, reason, closed(traffic, source))
        }
        for family in families {
            for doubt in family.doubts {
                let source = doubt.source ?? CIDR.everything(family.family)
                let (_, rest) = covered(source, doubt.traffic)
                // What other rules accept anyway.
                let extra = doubt.traffic.subtracting(family.access.traffic(of: source))
                guard extra.concernsAnswers else { continue }
                let lost = rest.intersection(extra)
                if !lost.concernsAnswers {
                    // Only SSH is open beyond what is certain.
                    let how =
                        answers.ssh?.limit.map {
                            $0 == doubt.nearLimit ? "with a limit of \($0) for each address" : nil
                        } ?? nil
                    omit(
                        doubt.rule, doubt.reason,
                        "SSH stays open \(how ?? "without this condition"), so that you can log in")
                } else {
                    omit(doubt.rule, doubt.reason, closed(lost, doubt.source))
                }
            }
            for chain in family.kept {
                let note = "The chain \(chain) belongs to another program: it stays, and its rules are not imported."
                if !notes.contains(note) { notes.append(note) }
            }
            if family.isTooLong {
                notes.append(
                    "There are more \(family.family.title) rules than can be followed; the rest is not imported.")
            }
        }
        return imported
    }

    private mutating func multicastRow(
        _ grant: FilterWalk.Grant, _ groups: [IPAddress], _ imported: inout [ImportResult.Imported]
    ) {
        let service = answers.services.first { choice in
            guard let template = catalog[choice.name], grant.source == nil else { return false }
            return Set(groups).isSubset(of: template.multicast)
                && grant.traffic.subtracting(Traffic(template.ports)).isEmpty
        }
        if let service {
            let row = ImportResult.Imported(rule: grant.rule, answer: "services: \(service.name)")
            if !imported.contains(row) { imported.append(row) }
        } else {
            let names = groups.map(\.description).joined(separator: ", ")
            omit(grant.rule, "no service is known for the multicast group \(names)", "closed")
        }
    }

    private mutating func omit(_ rule: String, _ reason: String, _ effect: String) {
        let row = ImportResult.Omitted(rule: rule, reason: reason, effect: effect)
        if !omitted.contains(row) { omitted.append(row) }
    }

    /// The answers that allow traffic from a network, and what none allows.
    private func covered(
        _ source: CIDR, _ traffic: Traffic, on interface: String? = nil
    ) -> (titles: [String], rest: Traffic) {
        var titles: [String] = []
        var rest = traffic
        if source.family == .ipv6, !answers.ipv6 { return ([], rest) }
        let here =
            offers.filter { $0.interface != nil && $0.interface == interface } + offers.filter { $0.interface == nil }
        for offer in here where offer.source?.contains(source) ?? true {
            if rest.intersection(offer.traffic).isEmpty { continue }
            rest = rest.subtracting(offer.traffic)
            if !titles.contains(offer.title) { titles.append(offer.title) }
        }
        return (titles, rest)
    }

    private func reason(_ grant: FilterWalk.Grant, _ source: CIDR, _ rest: Traffic) -> String {
        if rest.specs.isEmpty, rest.protocols.isEmpty, !rest.ping, !rest.limitedPing {
            return "answers cannot name this protocol"
        }
        if grant.isDefault { return "it accepts whatever no other rule blocks" }
        if rest.ping, rest.specs.isEmpty, interfaces[grant.interface]?.ping ?? false {
            return "answers cannot limit pings to an interface"
        }
        if let network = grant.source, !network.isEverything {
            let isOnOne = families.contains { family in
                family.family == source.family && !(family.access.networks[network] ?? .none).contains(grant.traffic)
            }
            if isOnOne, machine.interfaces.count > 1 { return "answers cannot limit to a network on one interface" }
            return rest.ping
                ? "answers cannot limit pings to networks other than the admins"
                : rest.specs.count > 8
                    ? "answers give a network full access or single services"
                    : "answers can limit services to a network, but no service has exactly these ports"
        }
        let inFamily = families.first { $0.family == source.family }?.access.everyone ?? .none
        if rest.intersection(inFamily).isEmpty { return "not open on all interfaces" }
        return "open over \(source.family.title) only"
    }

    private func closed(_ traffic: Traffic, _ source: CIDR?) -> String {
        var named = traffic
        named.messages = false
        let what = traffic == .all ? "everything else" : "\(named)"
        let from = source.map { " from \($0)" } ?? ""
        let ports = traffic.specs
        if ports.count > 8 || ports.contains(where: { $0.range.count > 1_000 }) {
            return "closed: \(ports.count > 8 ? "everything else" : what)\(from)"
        }
        guard !ports.isEmpty else { return "closed: \(what)\(from)" }
        let list = ports.map(\.description).joined(separator: ", ")
        return "closed: \(what)\(from); to open it to everyone, add \(list) to \"ports\""
    }
}
