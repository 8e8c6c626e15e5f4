import Netfilter

/// Containers on a stage that are behind one interface of the server, such as a bridge.
///
/// All containers are in one namespace, with a veth pair for each such interface.
package struct StageContainers: Hashable, Sendable {
    /// The server's interface.
    package let interface: String
    /// The server's own addresses on it.
    package let server: [IPAddress]
    /// The containers' addresses.
    package let members: [IPAddress]

    /// Containers behind an interface.
    package init(behind interface: String, server: [IPAddress], members: [IPAddress]) {
        self.interface = interface
        self.server = server
        self.members = members
    }

    /// The server's address at its end of every such veth pair, which no host uses (RFC 7723, RFC 4291).
    private static func gateway(_ family: Family) -> String { family == .ipv4 ? "192.0.0.9" : "fe80::9" }

    /// The families of the containers.
    private var families: [Family] { Family.allCases.filter { family in members.contains { $0.family == family } } }

    private func device(_ index: Int) -> String { "dev if\(index)" }

    /// The commands of `ip -batch` on the server.
    func serverScript(_ index: Int) -> String {
        let own = families.map { family in
            "address add \(Self.gateway(family))/\(family == .ipv4 ? 32 : 64) \(device(index)) scope link"
                + (family == .ipv6 ? " nodad" : "")
        }
        let lines =
            ["link set \(device(index)) up"] + own + server.map { Self.add($0, device(index)) }
            + members.map { "route add \(CIDR($0).canonical) \(device(index))" }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The commands of `ip -batch` in the containers' namespace: everything goes back to the server.
    func containerScript(_ index: Int) -> String {
        let routes = families.map { family in
            "route add \(family == .ipv4 ? "0.0.0.0/0" : "::/0") via \(Self.gateway(family)) \(device(index)) onlink"
                + " table \(index)"
        }
        let lines = ["link set \(device(index)) up"] + members.map { Self.add($0, device(index)) } + routes
        return lines.map { $0 + "\n" }.joined()
    }

    /// The commands of `ip -batch` for one family: what a container sends leaves through its own interface.
    func rules(_ index: Int, _ family: Family) -> String {
        members.filter { $0.family == family }.map { "rule add from \(CIDR($0).canonical) table \(index)\n" }.joined()
    }

    /// nodad: see `StageAddresses`.
    private static func add(_ address: IPAddress, _ device: String) -> String {
        "address add \(CIDR(address).canonical) \(device)" + (address.family == .ipv6 ? " nodad" : "")
    }
}
