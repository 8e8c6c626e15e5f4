import Netfilter

/// What should happen to one packet, or one exchange of packets, under a plan.
package struct Expectation: Hashable, Sendable {
    /// Who sends it.
    package enum Role: String, CaseIterable, Sendable {
        /// An address among the admins.
        case admin
        /// Any other address, including those that a service is limited to.
        case stranger
        /// The server itself.
        case server
        /// The client of the present SSH connection.
        case you
    }

    /// The direction in which the exchange begins.
    package enum Direction: String, CaseIterable, Sendable {
        case `in`, out
    }

    /// What is sent.
    package enum Packet: Hashable, Sendable {
        /// A new TCP connection to that port.
        case tcp(UInt16)
        /// A datagram to that port that is not a reply.
        case udp(UInt16)
        /// An ICMP echo request; out, its reply has to come in.
        case ping
        /// The next bytes on a TCP connection to that port that is older than the rules.
        case established(UInt16)
        /// An ICMP error about a datagram that the server never sent.
        case strayError
        /// An ICMP error about a datagram that the server did send.
        case relatedError
        /// "Packet too big" about a flow of the server's own (RFC 1191, RFC 8201).
        case packetTooBig
        /// IPv6 neighbour discovery: a solicitation, and for `out` the advertisement that must come in (RFC 4861).
        case neighbour
        /// An ICMPv6 message of that type without a reply: a router's (RFC 4861), or an error about nothing.
        case message(UInt8)
        /// So many new connections at once, or datagrams that begin a flow.
        case several(PortSpec, Int)
        /// One more than so many at once.
        case oneMore(PortSpec, Int)
    }

    /// Who sends it.
    package let role: Role
    /// The direction in which the exchange begins.
    package let direction: Direction
    /// The source address.
    package let source: IPAddress
    /// The destination address.
    package let target: IPAddress
    /// What is sent.
    package let packet: Packet
    /// The source port, if it matters.
    package let sourcePort: UInt16?
    /// Whether the answers allow it.
    package let isAccepted: Bool
    /// The answer that allows it; for a blocked packet, the answer that limits the port.
    ///
    /// Nil if no answer covers it.
    package let answer: Permission.Answer?
    /// The limit that counts the packet; nil if none does.
    package var limit: RateLimit?
    /// The container that a published port leads to, or that sends; nil if none takes part.
    package var container: ContainerEndpoint?

    /// The family of both addresses.
    package var family: Family { target.family }
}

extension Expectation.Packet {
    /// The protocol: `tcp`, `udp` or `icmp`.
    package var protocolName: String {
        switch self {
        case .tcp, .established: "tcp"
        case .udp: "udp"
        case .several(let spec, _), .oneMore(let spec, _): spec.transport.rawValue
        case .ping, .strayError, .relatedError, .packetTooBig, .neighbour, .message: "icmp"
        }
    }

    /// The destination port; nil if it has none.
    package var port: UInt16? {
        switch self {
        case .tcp(let port), .udp(let port), .established(let port): port
        case .several(let spec, _), .oneMore(let spec, _): spec.range.lower
        case .ping, .strayError, .relatedError, .packetTooBig, .neighbour, .message: nil
        }
    }

    /// The packet in a word or two, as reports have it.
    package var title: String {
        switch self {
        case .tcp(let port): "\(port)/tcp"
        case .udp(let port): "\(port)/udp"
        case .ping: "ping"
        case .established(let port): "\(port)/tcp, already connected"
        case .strayError: "ICMP error about nothing"
        case .relatedError: "ICMP error (port unreachable)"
        case .packetTooBig: "ICMP error (packet too big)"
        case .neighbour: "IPv6 neighbour discovery"
        case .message(133): "IPv6 router solicitation"
        case .message(134): "IPv6 router advertisement"
        case .message(let type): "ICMPv6 error about nothing (type \(type))"
        case .several(let spec, let count): "\(spec), \(count) at once"
        case .oneMore(let spec, let count): "\(spec), one more after \(count)"
        }
    }
}

extension Permission.Answer {
    /// The answer by its key in the answers file, with the name of the service.
    package var title: String {
        switch self {
        case .admins: "admins"
        case .ssh: "ssh"
        case .service(let name): "services: \(name)"
        case .ports: "ports"
        case .ping: "ping"
        case .block: "block"
        }
    }
}
