import Host
import Netfilter
import Policy
import Rehearsal

/// What of this machine a stage is made to look like.
struct RehearsingMachine: Sendable {
    /// Its addresses, one a family and interface, the one that faces the world first; a family without one gets an
    /// address of nobody's.
    let addresses: [ServerAddress]
    /// Ports on which something listens for others than this machine.
    let listening: [PortSpec]

    /// How many interfaces a stage gets; a machine may have hundreds, for containers.
    private static let interfaces = 4
    /// Interfaces that a kernel makes by itself in each namespace: there is no making them again.
    private static let ready: Set<String> = [
        "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0",
    ]

    /// Looks at this machine.
    ///
    /// - Parameters:
    ///   - families: the families that the kernel has.
    ///   - you: the other end of the present SSH connection.
    ///   - door: this machine's end of it.
    init(families: [Family], you: IPAddress? = nil, door: IPAddress? = nil) {
        let own = ownAddresses().filter { $0.isUp && $0.scope == .global && !Self.ready.contains($0.interface) }
            .compactMap { found in (try? IPAddress(parsing: "\(found.address)")).map { (found, $0) } }
        let routes = NetworkFacts().defaultRoutes.filter { route in own.contains { $0.0.interface == route.interface } }
        let others = own.filter { $0.1 == door }.map(\.0.interface) + own.map(\.0.interface)
        let names = (routes.map(\.interface) + others).uniqued.prefix(Self.interfaces)
        addresses = families.flatMap { family in
            let first = routes.filter { $0.isIPv6 == (family == .ipv6) }.map(\.interface)
            let found = (first + names).uniqued.compactMap { name -> ServerAddress? in
                let here = own.filter { $0.0.interface == name && $0.1.family == family }
                guard let one = here.first(where: { $0.1 == door }) ?? here.first else { return nil }
                let comesHere = one.1 == door ? [you].compactMap(\.self).map { CIDR($0) } : []
                return ServerAddress(one.1, on: name, prefixLength: one.0.prefixLength, others: comesHere)
            }
            guard found.isEmpty else { return found }
            return StageAddresses.documentation.server.filter { $0.address.family == family }
                .map { ServerAddress($0.address, on: names.first ?? $0.interface, prefixLength: 0) }
        }
        listening = Set(
            Host.listeners().filter { !$0.isLocalOnly && !$0.isEphemeral }.map { found in
                PortSpec(range: PortRange(found.port), transport: found.transport == .tcp ? .tcp : .udp)
            }
        ).sorted()
    }
}

extension Sequence where Element: Hashable {
    /// Each element once, where it came first.
    fileprivate var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
