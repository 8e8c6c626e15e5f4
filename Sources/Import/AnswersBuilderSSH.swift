import Netfilter
import Policy

// Who may log in.
extension AnswersBuilder {
    var sshPorts: [UInt16] { machine.usedSSHPorts }

    /// Who may use a port by rules that answers can say; nil for everyone.
    private func sources(of port: UInt16) -> Set<CIDR>? {
        if everyone.tcp.contains(port) || limit(of: port) != nil { return nil }
        return Set(networks.filter { $0.value.tcp.contains(port) && (try? CIDR(source: "\($0.key)")) != nil }.keys)
    }

    /// The limit within which everyone may use a port; nil if there is none.
    private func limit(of port: UInt16) -> RateLimit? {
        everyone.tcp.contains(port) ? nil : limited.first { $0.value.tcp.contains(port) }?.key
    }

    /// The limit for a port that is open to everyone only because of rules with limits that count otherwise.
    private func nearLimit(of port: UInt16) -> RateLimit? {
        guard sources(of: port) != nil else { return nil }
        let doubts = families.flatMap(\.doubts).filter {
            $0.traffic.tcp.contains(port) && !$0.traffic.others && ($0.source?.isEverything ?? true)
        }
        let limits = Set(doubts.map(\.nearLimit))
        return limits.count == 1 ? limits.first ?? nil : nil
    }

    /// The interfaces through which everyone may use a port, besides: in one of the families, within a limit or without.
    private func ways(to port: UInt16) -> [InterfaceName] {
        let names = families.flatMap { family in
            family.byInterface.filter { _, access in
                access.everyone.tcp.contains(port) || access.limited.values.contains { $0.tcp.contains(port) }
            }.keys
        }
        return Set(names).sorted().compactMap { try? InterfaceName(parsing: $0) }
            .filter { !answers.admins.interfaces.contains($0) }
    }

    /// The networks that may use a port through one of the interfaces.
    private func sourcesThere(_ port: UInt16) -> Set<CIDR> {
        let networks = families.flatMap(\.byInterface.values).flatMap { access in
            access.networks.filter { $0.value.tcp.contains(port) }.keys
        }
        return Set(
            networks.filter { network in
                (try? CIDR(source: "\(network)")) != nil
                    && !answers.admins.networks.contains { $0.contains(network) }
            })
    }

    /// Who may use a port by rules that answers cannot say; nil for everyone.
    private func doubtfulSources(of port: UInt16) -> Set<CIDR>? {
        let doubts = families.flatMap(\.doubts).filter { $0.traffic.tcp.contains(port) }
        // An odd rule about everything, such as one for an interface, says little of SSH where other rules do.
        let isTold = sources(of: port) != [] || machine.caller != nil || machine.sshPorts.isEmpty
        var sources = sourcesThere(port)
        for doubt in doubts where !doubt.traffic.others || doubt.isBroad || !isTold {
            guard let source = doubt.source, !source.isEverything else { return nil }
            sources.insert(source)
        }
        return sources
    }

    /// Who may log in, and on which ports.
    mutating func ssh() {
        let ports = sshPorts
        let best =
            machine.callerPort ?? ports.first { sources(of: $0) == nil }
            ?? ports.first { sources(of: $0) != [] || !ways(to: $0).isEmpty }
            ?? ports.first { doubtfulSources(of: $0) != [] } ?? ports[0]
        guard let certain = sources(of: best), let odd = doubtfulSources(of: best) else {
            // Rules about SSH that answers cannot say must not shut out who uses them.
            let rate = limit(of: best) ?? nearLimit(of: best)
            offerSSH(ports.filter { $0 == best || sources(of: $0) == nil && limit(of: $0) == rate }, .everyone, rate)
            return
        }
        var from = certain.union(odd)
        if let caller = machine.caller, !from.contains(where: { $0.contains(caller) }), !answers.admins.contains(caller)
        {
            from.insert(CIDR(caller))
            notes.append(
                "SSH stays open for \(caller), where you are logged in from. No imported rule allows it.")
        }
        let interfaces = ways(to: best)
        let list = ports.filter {
            $0 == best || sources(of: $0) == certain && doubtfulSources(of: $0) == odd && ways(to: $0) == interfaces
        }
        if from.isEmpty, interfaces.isEmpty {
            if answers.admins.isEmpty {
                notes.append("No rule that allows SSH was found, so SSH is closed. To open it, change the ssh answer.")
            }
            offerSSH(list, .admins)
        } else {
            let widest = from.filter { one in !from.contains { $0 != one && $0.contains(one) } }
            offerSSH(list, .networks(AddressList(widest.sorted(), interfaces: interfaces)))
        }
    }

    private mutating func offerSSH(_ ports: [UInt16], _ from: Source, _ limit: RateLimit? = nil) {
        answers.ssh = SSHAnswer(ports: ports, from: from, limit: limit)
        let traffic = Traffic(ports.map { PortSpec(range: PortRange($0), transport: .tcp) })
        switch from {
        case .everyone:
            let title = limit.map { "ssh, limit \($0)" } ?? "ssh"
            offers.append(Offer(source: nil, traffic: traffic, title: title))
        case .admins: break
        case .networks(let list):
            offers += list.networks.map { Offer(source: $0, traffic: traffic, title: "ssh") }
            offers += list.interfaces.map { Offer(interface: $0.text, traffic: traffic, title: "ssh") }
        }
    }
}
