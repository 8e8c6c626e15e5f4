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
    }

    /// The answer that it comes from.
    package let answer: Answer
    /// What is allowed.
    package let opening: Opening
    /// Who is allowed.
    ///
    /// `.admins` adds no rule, because admins have full access anyway, but it is shown.
    package let source: Source
}

extension Permission {
    /// Whether the permission is for packets from that address.
    ///
    /// - Parameters:
    ///   - address: the packet's source address.
    ///   - admins: the addresses and networks of the administrators.
    /// - Returns: true also for the admins of an `.admins` permission.
    func admits(_ address: IPAddress, admins: AddressList) -> Bool {
        switch source {
        case .everyone: true
        case .admins: admins.contains(address)
        case .networks(let networks): networks.contains(address)
        }
    }
}
