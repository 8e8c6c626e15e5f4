import Netfilter

/// Something that a plan allows, with the answer that it comes from.
package struct Permission: Equatable, Sendable {
    /// The answer that a permission comes from.
    package enum Answer: Hashable, Sendable {
        case admins
        case ssh
        /// The service of that name.
        case service(String)
        /// The further open ports.
        case ports
        case ping
        /// The blocked sources.
        case block
    }

    /// What is allowed.
    package enum Opening: Hashable, Sendable {
        /// Every packet.
        case everything
        /// New connections to ports of the server.
        case ports(PortSpec)
        /// Packets to ports that are sent to one of these multicast groups, and to no address of the server's own.
        case multicast(PortSpec, groups: [IPAddress])
        /// A protocol directly above IP.
        case ipProtocol(IPProtocol)
        /// Pings: ICMP echo requests.
        case ping(limited: Bool)

        /// The ports of the server that it opens; nil for other openings.
        package var portSpec: PortSpec? { if case .ports(let spec) = self { spec } else { nil } }
    }

    /// The answer that it comes from.
    package let answer: Answer
    /// What is allowed.
    package let opening: Opening
    /// Who is allowed.
    ///
    /// `.admins` adds no rule, because admins have full access anyway, but it is shown.
    package let source: Source
    /// How many new connections one address may make; nil means any number.
    package var limit: RateLimit?
}

extension Permission {
    /// Whether the permission is for packets from that address.
    ///
    /// - Parameters:
    ///   - address: the packet's source address.
    ///   - interface: the interface through which it comes in; nil if it is unknown.
    ///   - admins: the sources of the administrators.
    /// - Returns: true also for the admins of an `.admins` permission.
    func admits(_ address: IPAddress, on interface: String? = nil, admins: AddressList) -> Bool {
        switch source {
        case .everyone: true
        case .admins: admins.contains(address, on: interface)
        case .networks(let networks): networks.contains(address, on: interface)
        }
    }

    /// The addresses, networks and interfaces that it is limited to; nil for everyone and for the admins.
    package var limits: AddressList? { if case .networks(let list) = source { list } else { nil } }

}
