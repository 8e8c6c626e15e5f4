import Host
import Netfilter
import Policy
import Rehearsal

/// The properties of this machine that a stage copies.
struct RehearsalMachine: Sendable {
    /// Its addresses, one for each family and interface, that of the default route first; a family without an address
    /// gets a documentation address.
    let addresses: [ServerAddress]
    /// The ports that other machines can reach.
    let listening: [PortSpec]

    /// The maximum number of interfaces on a stage; a machine may have hundreds, for containers.
    private static let interfaces = 4
    /// Interfaces that the kernel creates in every namespace, so that they cannot be created again.
    private static let ready: Set<String> = [
        "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0",
    ]

    /// Reads this machine's addresses and listeners.
    ///
    /// - Parameters:
    ///   - facts: where facts about the machine are read.
    ///   - families: the families that the kernel has.
    ///   - you: the client's address of the present SSH connection.
    ///   - serverAddress: the server's address of that connection.
    ///   - routes: the interfaces by which the kernel reaches hosts; other hosts are behind the interface of their
    ///     network.
    ///   - interfaces: the interfaces that the plan names; one that does not exist yet gets an address for the rehearsal.
    init(
        _ facts: FactSource, families: [Family], you: IPAddress? = nil, serverAddress: IPAddress? = nil,
        routes: [IPAddress: String] = [:], interfaces: [String] = []
    ) {
        let exits = NetworkFacts(facts).defaultRoutes.filter { !Self.ready.contains($0.interface) }
        let all = ownAddresses().filter { $0.isUp && $0.scope == .global && !Self.ready.contains($0.interface) }
            .map { OwnAddress($0.address, $0.interface, $0.prefixLength) }
        // An address on lo, which a routing protocol announces, is reached over the interface that leads out.
        let own =
            all.filter { $0.interface != "lo" }
            + all.filter { $0.interface == "lo" }.compactMap { address in
                let way =
                    (address.address == serverAddress ? you.flatMap { routes[$0] } : nil)
                    ?? (exits.first { $0.isIPv6 == (address.address.family == .ipv6) } ?? exits.first)?.interface
                return way.map { OwnAddress(address.address, $0, address.prefixLength) }
            }
        let numbered = exits.filter { exit in own.contains { $0.interface == exit.interface } }
        // Interfaces that many hosts use come first.
        let needed = Dictionary(grouping: routes.values, by: \.self).sorted {
            ($1.value.count, $0.key) < ($0.value.count, $1.key)
        }
        .map(\.key)
        let known = numbered.map(\.interface) + own.filter { $0.address == serverAddress }.map(\.interface) + needed
        let names = (known + own.map(\.interface)).uniqued.filter { name in own.contains { $0.interface == name } }
            .prefix(Self.interfaces)
        let wanted = interfaces.filter { !Self.ready.contains($0) }.prefix(Self.wantedInterfaces)
        addresses = families.flatMap { family in
            let first = numbered.filter { $0.isIPv6 == (family == .ipv6) }.map(\.interface)
            let found = (first + names + wanted).uniqued.compactMap { name -> ServerAddress? in
                let here = own.filter { $0.interface == name && $0.address.family == family }
                guard let one = here.first(where: { $0.address == serverAddress }) ?? here.first else { return nil }
                let comesHere = one.address == serverAddress ? [you].compactMap(\.self).map { CIDR($0) } : []
                return ServerAddress(one.address, on: name, prefixLength: one.prefixLength, others: comesHere)
            }
            let future = wanted.enumerated().filter { one in !found.contains { $0.interface == one.element } }
                .compactMap { Self.address(number: $0.offset, on: $0.element, family) }
            guard found.isEmpty else {
                return Self.following(routes.filter { $0.key != you || serverAddress == nil }, found) + future
            }
            return StageAddresses.documentation.server.filter { $0.address.family == family }
                .map { ServerAddress($0.address, on: names.first ?? $0.interface, prefixLength: 0) } + future
        }
        listening = Set(
            ReachableListeners.reachable(.listening(facts), facts).map { found in
                PortSpec(range: PortRange(found.port), transport: found.transport)
            }
        ).sorted()
    }
}

extension RehearsalMachine {
    private init(addresses: [ServerAddress], listening: [PortSpec]) {
        self.addresses = addresses
        self.listening = listening
    }

    /// The same machine for a stage with containers.
    ///
    /// - Parameters:
    ///   - interfaces: those that containers are behind, which lead outside no longer.
    ///   - published: further addresses of the machine, to which packets for containers are sent.
    /// - Returns: the machine.
    func without(_ interfaces: [String], publishedOn published: [IPAddress]) -> RehearsalMachine {
        let own = Set(ownAddresses().map(\.address))
        var left = addresses.filter { !interfaces.contains($0.interface) }
        for address in Set(published).sorted()
        where own.contains(address) && !left.contains(where: { $0.address == address }) {
            guard let first = left.first(where: { $0.address.family == address.family }) else { continue }
            left.append(
                ServerAddress(
                    address, on: first.interface, prefixLength: address.family == .ipv4 ? 32 : 128))
        }
        return RehearsalMachine(addresses: left, listening: listening)
    }

    /// The maximum number of interfaces on a stage that the plan names.
    private static let wantedInterfaces = 8

    /// An address for an interface that has none of the family: from the networks for benchmarks and documentation
    /// (RFC 2544, RFC 3849).
    private static func address(number: Int, on interface: String, _ family: Family) -> ServerAddress? {
        let text = family == .ipv4 ? "198.19.\(number).1" : "2001:db8:1f:\(number)::1"
        return (try? IPAddress(parsing: text)).map {
            ServerAddress($0, on: interface, prefixLength: family == .ipv4 ? 24 : 64)
        }
    }

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

    /// The same addresses, with hosts as neighbours of the interface that the kernel routes them by, where that is not
    /// the interface of their network: hosts behind a tunnel or a router.
    private static func following(_ routes: [IPAddress: String], _ servers: [ServerAddress]) -> [ServerAddress] {
        let astray = routes.filter { host, interface in servers.facing(host).map { $0.interface != interface } ?? false
        }
        return servers.map { server in
            server.with(others: astray.filter { $0.value == server.interface }.map { CIDR($0.key) })
        }
    }
}

extension Sequence where Element: Hashable {
    /// Each element once, in the order of its first occurrence.
    fileprivate var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
