import Netfilter
import Policy

/// A set of packets that begin new connections, from any source: what a rule matches.
package struct Traffic: Hashable, Sendable {
    /// The ports of TCP connections.
    package var tcp: PortSet
    /// The ports of UDP datagrams.
    package var udp: PortSet
    /// The protocols directly above IP that answers know.
    package var protocols: Set<IPProtocol>
    /// Pings, as many as come.
    package var ping: Bool
    /// A few pings a second.
    package var limitedPing: Bool
    /// ICMP messages other than pings: errors, and what IPv6 needs.
    package var messages: Bool
    /// All other protocols.
    package var others: Bool

    /// Packets of these kinds.
    package init(
        tcp: PortSet = .none, udp: PortSet = .none, protocols: Set<IPProtocol> = [], ping: Bool = false,
        limitedPing: Bool = false, messages: Bool = false, others: Bool = false
    ) {
        self.tcp = tcp
        self.udp = udp
        self.protocols = protocols
        self.ping = ping
        self.limitedPing = limitedPing || ping
        self.messages = messages
        self.others = others
    }

    /// Connections and datagrams to ports.
    package init(_ specs: some Sequence<PortSpec>) {
        self.init(
            tcp: PortSet(specs.filter { $0.transport == .tcp }.map(\.range)),
            udp: PortSet(specs.filter { $0.transport == .udp }.map(\.range)))
    }

    /// Every packet.
    package static let all = Traffic(
        tcp: .all, udp: .all, protocols: Set(IPProtocol.allCases), ping: true, messages: true, others: true)
    /// No packet.
    package static let none = Traffic()
    /// All pings.
    package static let ping = Traffic(ping: true)

    /// All ICMP messages.
    package static let icmp = Traffic(ping: true, messages: true)

    /// Whether it has no packet.
    package var isEmpty: Bool { self == .none }

    /// The ports, TCP first.
    package var specs: [PortSpec] {
        tcp.ranges.map { PortSpec(range: $0, transport: .tcp) }
            + udp.ranges.map { PortSpec(range: $0, transport: .udp) }
    }

    /// The ports of one transport protocol.
    package subscript(transport: TransportProtocol) -> PortSet { transport == .tcp ? tcp : udp }

    /// Whether answers decide about some of it; ICMP messages other than pings are the same in every plan.
    package var concernsAnswers: Bool {
        var rest = self
        rest.messages = false
        return !rest.isEmpty
    }

    /// Whether all ports of a specification are in it.
    package func contains(_ spec: PortSpec) -> Bool { self[spec.transport].contains(spec.range) }

    /// Whether all of another is in it, but for ICMP messages other than pings.
    func contains(_ other: Traffic) -> Bool { !other.subtracting(self).concernsAnswers }

    /// The packets in both.
    package func intersection(_ other: Traffic) -> Traffic {
        var both = Traffic()
        both.tcp = tcp.intersection(other.tcp)
        both.udp = udp.intersection(other.udp)
        both.protocols = protocols.intersection(other.protocols)
        both.ping = ping && other.ping
        both.limitedPing = limitedPing && other.limitedPing
        both.messages = messages && other.messages
        both.others = others && other.others
        return both
    }

    /// The packets in either.
    package func union(_ other: Traffic) -> Traffic {
        var either = Traffic()
        either.tcp = tcp.union(other.tcp)
        either.udp = udp.union(other.udp)
        either.protocols = protocols.union(other.protocols)
        either.ping = ping || other.ping
        either.limitedPing = limitedPing || other.limitedPing
        either.messages = messages || other.messages
        either.others = others || other.others
        return either
    }

    /// The packets that are not in the other.
    package func subtracting(_ other: Traffic) -> Traffic {
        var rest = Traffic()
        rest.tcp = tcp.subtracting(other.tcp)
        rest.udp = udp.subtracting(other.udp)
        rest.protocols = protocols.subtracting(other.protocols)
        rest.ping = ping && !other.ping
        rest.limitedPing = limitedPing && !other.limitedPing
        rest.messages = messages && !other.messages
        rest.others = others && !other.others
        return rest
    }
}

extension Traffic: CustomStringConvertible {
    /// As people write it: `80/tcp, 443/tcp, ping`.
    package var description: String {
        if self == .all { return "everything" }
        var words = specs.sorted().map(\.description) + protocols.sorted().map(\.rawValue)
        if ping { words.append("ping") } else if limitedPing { words.append("some pings") }
        if messages { words.append("other ICMP messages") }
        if others { words.append("other protocols") }
        return words.joined(separator: ", ")
    }
}
