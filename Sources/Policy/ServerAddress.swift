import Netfilter

/// An address of the server, and the hosts that reach the server at it.
package struct ServerAddress: Hashable, Sendable {
    /// The address itself.
    package let address: IPAddress
    /// The name of its interface.
    package let interface: String
    /// Networks whose hosts come in through this interface; all others come in through the first interface.
    package let neighbours: [CIDR]

    private init(_ address: IPAddress, on interface: String, neighbours: [CIDR]) {
        self.address = address
        self.interface = interface
        self.neighbours = neighbours
    }

    /// The same address with further neighbours.
    package func with(others: [CIDR]) -> ServerAddress {
        ServerAddress(address, on: interface, neighbours: neighbours + others)
    }

    /// An address on an interface; its own network and `others` are its neighbours.
    package init(_ address: IPAddress, on interface: String, prefixLength: Int, others: [CIDR] = []) {
        let own = [CIDR(of: address, prefixLength: prefixLength)].compactMap(\.self)
        self.init(address, on: interface, neighbours: own + others)
    }
}

extension Collection<ServerAddress> {
    /// The address at which a host reaches the server: the one with the narrowest network that contains the host, else
    /// the first of the host's family.
    package func facing(_ host: IPAddress) -> ServerAddress? {
        let family = filter { $0.address.family == host.family }
        let near = family.flatMap { server in
            server.neighbours.filter { $0.contains(host) }.map { (server: server, length: $0.prefixLength) }
        }
        return near.max { $0.length < $1.length }?.server ?? family.first
    }
}
