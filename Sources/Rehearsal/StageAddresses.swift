import Netfilter
import Policy

/// The addresses of a stage; it has one veth pair for each interface of the server.
package struct StageAddresses: Sendable, Equatable {
    /// The server's addresses; the first of a family is that of the default route.
    package let server: [ServerAddress]
    /// The addresses of the outside, in any networks.
    package let outside: [IPAddress]
    /// The containers behind further interfaces of the server; usually none.
    package let containers: [StageContainers]

    /// Addresses for a stage; all outside addresses are the server's neighbours, in any network.
    package init(server: [ServerAddress], outside: [IPAddress], containers: [StageContainers] = []) {
        self.server = server
        self.outside = outside
        self.containers = containers
    }

    /// Documentation addresses (RFC 5737, RFC 3849): a server, and outside it a neighbour and a stranger.
    package static let documentation = StageAddresses(
        server: [("192.0.2.2", 24), ("2001:db8:2::2", 64)].compactMap { name, length in
            (try? IPAddress(parsing: name)).map { ServerAddress($0, on: "eth0", prefixLength: length) }
        },
        outside: ["192.0.2.1", "2001:db8:2::1", "198.51.100.77", "2001:db8:bad::77"].compactMap {
            try? IPAddress(parsing: $0)
        })

    /// The same server with an outside of these addresses.
    package func with(outside: [IPAddress]) -> StageAddresses {
        StageAddresses(server: server, outside: outside, containers: containers)
    }

    subscript(place: Stage.Place) -> [IPAddress] {
        switch place {
        case .server: server.map(\.address)
        case .outside: outside
        case .containers: containers.flatMap(\.members)
        }
    }

    /// The server's interfaces, each once.
    var interfaces: [String] {
        var seen: Set<String> = []
        return server.map(\.interface).filter { seen.insert($0).inserted }
    }

    /// The name of the outside's end of an interface's veth pair.
    func outsideEnd(of interface: String) -> String { "eth\(number(of: interface))" }

    /// The numbers of both ends of a veth pair.
    func index(of interface: String) -> Int { 1000 + number(of: interface) }

    /// The numbers of both ends of the veth pair to containers; the containers' routing table has the same number.
    func index(of containers: StageContainers) -> Int { 2000 + (self.containers.firstIndex(of: containers) ?? 0) }

    private func number(of interface: String) -> Int { interfaces.firstIndex(of: interface) ?? 0 }

    /// An interface as an argument of `ip`: by its index, because a name may be a keyword of `ip` or begin a comment.
    private func device(_ interface: String) -> String { "dev if\(index(of: interface))" }

    /// The commands of `ip -batch` for a place.
    ///
    /// The outside has a route to everything over the veth pair, because it only contacts the server. The server sends
    /// everything to one gateway at the other end. If every outside address were a neighbour, a large plan would fill
    /// the kernel's neighbour table, which all namespaces share (gc_thresh3 in arp(7)).
    func script(for place: Stage.Place) -> String {
        guard place != .containers else {
            return "link set lo up\n" + containers.map { $0.containerScript(index(of: $0)) }.joined()
        }
        var lines = ["link set lo up"]
        lines += interfaces.map { "link set \(device($0)) up" }
        if place == .server {
            // No networks of its own: every outside address is behind the gateway, including the first and last ones.
            lines += server.map { add($0.address, to: $0.interface) }
        }
        for first in Family.allCases.compactMap({ family in server.first { $0.address.family == family } }) {
            let family = first.address.family
            let everything = family == .ipv4 ? "0.0.0.0/0" : "::/0"
            guard place == .outside else {
                lines.append(route(everything, family, by: first.interface))
                continue
            }
            lines.append("route add \(everything) \(device(first.interface))")
            // For the control round without rules.
            lines += self[.containers].filter { $0.family == family }.map {
                "route add \(CIDR($0).canonical) via \(first.address) \(device(first.interface)) onlink"
            }
            // Each other interface is used to reach its own addresses.
            lines += server.filter { $0.address.family == family && $0.interface != first.interface }.map {
                "route add \(CIDR($0.address).canonical) \(device($0.interface))"
            }
        }
        return lines.map { $0 + "\n" }.joined()
            + (place == .server
                ? wayBack(to: outside) + containers.map { $0.serverScript(index(of: $0)) }.joined()
                : outsideScript(outside) + gateways)
    }

    /// The commands for outside addresses; each is on every veth pair, because IPv6 answers only where the address is.
    func outsideScript(_ addresses: [IPAddress]) -> String {
        addresses.flatMap { address in
            interfaces.map { add(address, to: $0) + "\n" }
        }.joined()
    }

    /// The commands on the server for outside addresses: those that do not come in through the first interface have
    /// their return route through the one that they face.
    func wayBack(to addresses: [IPAddress]) -> String {
        addresses.map { address in
            guard let facing = server.facing(address),
                facing.interface != server.first(where: { $0.address.family == address.family })?.interface
            else { return "" }
            return route(CIDR(address).canonical, address.family, by: facing.interface) + "\n"
        }.joined()
    }

    // MARK: - Gateways

    /// The gateway's address at the outside end of every veth pair, which no host uses (RFC 7600, RFC 4291).
    private static func gateway(_ family: Family) -> String { family == .ipv4 ? "192.0.0.8" : "fe80::1" }

    /// Assigns the gateways their addresses, with link scope, so that the outside never uses them as a source.
    private var gateways: String {
        Family.allCases.flatMap { family -> [String] in
            let gateway = Self.gateway(family)
            guard server.contains(where: { $0.address.family == family }),
                !outside.contains(where: { $0.description == gateway })
            else { return [] }
            return interfaces.map { interface in
                "address add \(gateway)/\(family == .ipv4 ? 32 : 64) \(device(interface)) scope link"
                    + (family == .ipv6 ? " nodad" : "") + "\n"
            }
        }.joined()
    }

    private func route(_ network: String, _ family: Family, by interface: String) -> String {
        "route add \(network) via \(Self.gateway(family)) \(device(interface)) onlink"
    }

    /// nodad: an IPv6 address is usable at once, without the second for duplicate address detection.
    private func add(_ address: IPAddress, to interface: String) -> String {
        "address add \(CIDR(address).canonical) \(device(interface))" + (address.family == .ipv6 ? " nodad" : "")
    }
}
