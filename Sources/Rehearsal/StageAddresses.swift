import Netfilter

/// The addresses of the two ends of a stage's cable.
package struct StageAddresses: Sendable, Equatable {
    /// An address and the length of its network's prefix.
    package struct Interface: Sendable, Equatable {
        package let address: IPAddress
        let prefixLength: Int

        /// An address on a network.
        package init(_ address: IPAddress, prefixLength: Int) {
            self.address = address
            self.prefixLength = prefixLength
        }
    }

    /// What the server is called, at most one address a family.
    package let server: [Interface]
    /// The addresses from which the outside comes, whatever networks they belong to.
    package let outside: [IPAddress]
    /// What the server's interface is called.
    package let interfaceName: String

    /// Addresses for a stage; all of the outside are the server's neighbours, whatever their networks.
    package init(server: [Interface], outside: [IPAddress], interfaceName: String = "eth0") {
        self.server = server
        self.outside = outside
        self.interfaceName = interfaceName
    }

    /// Names that belong to nobody (RFC 5737, RFC 3849): a server, and outside it a gateway's address.
    package static let documentation = StageAddresses(
        server: interfaces(([192, 0, 2, 2], 24), (documentation6(last: 2), 64)),
        outside: [[192, 0, 2, 1], documentation6(last: 1)].compactMap(IPAddress.init(bytes:)))

    /// The same server with an outside of these addresses.
    package func with(outside: [IPAddress]) -> StageAddresses {
        StageAddresses(server: server, outside: outside, interfaceName: interfaceName)
    }

    subscript(place: Stage.Place) -> [IPAddress] {
        place == .server ? server.map(\.address) : outside
    }

    /// What `ip -batch` is to do in a place.
    ///
    /// Each end takes the whole world to be its neighbour: any source will do, and no router has to be played.
    func script(for place: Stage.Place) -> String {
        let interfaces =
            place == .server
            ? server : outside.map { Interface($0, prefixLength: $0.family == .ipv4 ? 32 : 128) }
        let name = place == .server ? interfaceName : "eth0"
        var lines = ["link set lo up", "link set \(name) up"]
        // nodad: an IPv6 address is good at once, without the second in which a duplicate is looked for.
        lines += interfaces.map { interface in
            "address add \(interface.address)/\(interface.prefixLength) dev \(name)"
                + (interface.address.family == .ipv6 ? " nodad" : "")
        }
        for family in Family.allCases where interfaces.contains(where: { $0.address.family == family }) {
            lines.append("route add \(family == .ipv4 ? "0.0.0.0/0" : "::/0") dev \(name)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func interfaces(_ pairs: ([UInt8], Int)...) -> [Interface] {
        pairs.compactMap { bytes, length in
            IPAddress(bytes: bytes).map { Interface($0, prefixLength: length) }
        }
    }

    private static func documentation6(last: UInt8) -> [UInt8] {
        [0x20, 0x01, 0x0d, 0xb8, 0, 2] + [UInt8](repeating: 0, count: 9) + [last]
    }
}
