import Host
import Netfilter
import Policy
import Rehearsal

/// What of this machine a stage is made to look like.
struct RehearsalMachine: Sendable {
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
    ///   - facts: where facts about the machine are read.
    ///   - families: the families that the kernel has.
    ///   - you: the other end of the present SSH connection.
    ///   - door: this machine's end of it.
    ///   - routes: the interfaces by which the kernel reaches hosts; others are taken to be where their network is.
    init(
        _ facts: FactSource, families: [Family], you: IPAddress? = nil, door: IPAddress? = nil,
        routes: [IPAddress: String] = [:]
    ) {
        let exits = NetworkFacts(facts).defaultRoutes.filter { !Self.ready.contains($0.interface) }
        let all = ownAddresses().filter { $0.isUp && $0.scope == .global && !Self.ready.contains($0.interface) }
            .map { OwnAddress($0.address, $0.interface, $0.prefixLength) }
        // An address on lo, which a routing protocol announces, is reached by whatever way leads out.
        let own =
            all.filter { $0.interface != "lo" }
            + all.filter { $0.interface == "lo" }.compactMap { address in
                let way =
                    (address.address == door ? you.flatMap { routes[$0] } : nil)
                    ?? (exits.first { $0.isIPv6 == (address.address.family == .ipv6) } ?? exits.first)?.interface
                return way.map { OwnAddress(address.address, $0, address.prefixLength) }
            }
        let numbered = exits.filter { exit in own.contains { $0.interface == exit.interface } }
        // Those that many hosts come by are needed before those that none does.
        let needed = Dictionary(grouping: routes.values, by: \.self).sorted {
            ($1.value.count, $0.key) < ($0.value.count, $1.key)
        }
        .map(\.key)
        let known = numbered.map(\.interface) + own.filter { $0.address == door }.map(\.interface) + needed
        let names = (known + own.map(\.interface)).uniqued.filter { name in own.contains { $0.interface == name } }
            .prefix(Self.interfaces)
        addresses = families.flatMap { family in
            let first = numbered.filter { $0.isIPv6 == (family == .ipv6) }.map(\.interface)
            let found = (first + names).uniqued.compactMap { name -> ServerAddress? in
                let here = own.filter { $0.interface == name && $0.address.family == family }
                guard let one = here.first(where: { $0.address == door }) ?? here.first else { return nil }
                let comesHere = one.address == door ? [you].compactMap(\.self).map { CIDR($0) } : []
                return ServerAddress(one.address, on: name, prefixLength: one.prefixLength, others: comesHere)
            }
            guard found.isEmpty else { return Self.following(routes.filter { $0.key != you || door == nil }, found) }
            return StageAddresses.documentation.server.filter { $0.address.family == family }
                .map { ServerAddress($0.address, on: names.first ?? $0.interface, prefixLength: 0) }
        }
        listening = Set(
            ReachableListeners.reachable(SocketTable(facts), facts).map { found in
                PortSpec(range: PortRange(found.port), transport: found.transport)
            }
        ).sorted()
    }
}

extension RehearsalMachine {
    private struct OwnAddress {
        let address: IPAddress
        let interface: String
        let prefixLength: Int

        init(_ address: IPAddress, _ interface: String, _ prefixLength: Int) {
            self.address = address
            self.interface = interface
            self.prefixLength = prefixLength
        }
    }

    /// The same addresses, with the hosts as neighbours that come by another interface than their network says: over
    /// a tunnel, or by a router.
    private static func following(_ routes: [IPAddress: String], _ servers: [ServerAddress]) -> [ServerAddress] {
        let astray = routes.filter { host, interface in servers.facing(host).map { $0.interface != interface } ?? false
        }
        return servers.map { server in
            server.with(others: astray.filter { $0.value == server.interface }.map { CIDR($0.key) })
        }
    }
}

extension Sequence where Element: Hashable {
    /// Each element once, where it came first.
    fileprivate var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
