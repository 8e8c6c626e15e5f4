import Netfilter

/// One test with real packets.
package struct Probe: Hashable, Sendable {
    /// What is sent, and what counts as an answer to it.
    package enum Kind: String, Codable, CaseIterable, Sendable {
        /// A TCP connection; answered when it is established.
        case tcp
        /// A datagram; answered by any datagram that comes back, such as a `ProbeAgent`'s echo.
        case udp
        /// An ICMP echo request; answered by the echo reply.
        case ping
        /// An ICMP "port unreachable" about a datagram that the target never sent; nothing can answer it.
        ///
        /// The target's own counters show whether it was accepted (`/proc/net/snmp`, `/proc/net/snmp6`).
        case strayError
        /// An ICMP "packet too big" about a datagram from the target's port to the source's; nothing can answer it.
        case tooBig
        /// A neighbour solicitation (RFC 4861); answered by the advertisement. IPv6 only.
        case neighbour
        /// An ICMPv6 message whose type is in the port; nothing can answer it.
        case message
        /// Bytes on a connection that was made before with `Stage.hold`; answered by their echo.
        case established
    }

    /// What is sent.
    package var kind: Kind
    /// The source address, which belongs to the sending namespace.
    package var source: IPAddress
    /// The destination address.
    package var target: IPAddress
    /// The target's port; 0 for a ping.
    package var port: UInt16
    /// The source port, or nil for any free one.
    package var sourcePort: UInt16?

    /// A probe; see the properties.
    package init(
        _ kind: Kind, from source: IPAddress, to target: IPAddress, port: UInt16 = 0, sourcePort: UInt16? = nil
    ) {
        self.kind = kind
        self.source = source
        self.target = target
        self.port = port
        self.sourcePort = sourcePort
    }

    /// The probe's family.
    package var family: Family { target.family }
}

extension Probe: CustomStringConvertible {
    /// The probe in one line, for reports.
    package var description: String {
        let from = sourcePort.map { "\(source) port \($0)" } ?? "\(source)"
        return "\(kind.rawValue) from \(from) to \(target)" + (port == 0 ? "" : " port \(port)")
    }
}

/// The result of a probe.
package enum ProbeOutcome: String, Codable, CaseIterable, Sendable {
    /// Answered: connected, echoed.
    case accepted
    /// Answered with a refusal: a TCP reset, or an ICMP error.
    case refused
    /// No answer in the given time.
    case silent
    /// It could not even be sent; the detail says why.
    case unsent
    /// Sent, and no answer is possible.
    case sent
}

/// A probe and its result.
package struct ProbeResult: Hashable, Sendable {
    /// The probe.
    package let probe: Probe
    /// The result.
    package let outcome: ProbeOutcome
    /// The system's error message for a refusal, or for a probe that could not be sent.
    package let detail: String?

    /// Whether the target's listener was reached.
    package var isAccepted: Bool { outcome == .accepted }

    /// A result, for rehearsals and for tests.
    package init(_ probe: Probe, _ outcome: ProbeOutcome, detail: String? = nil) {
        self.probe = probe
        self.outcome = outcome
        self.detail = detail
    }
}

extension Probe: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind, source, target, port, sourcePort
    }

    /// Reads a probe that `encode` wrote: addresses are text.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        kind = try values.decode(Kind.self, forKey: .kind)
        source = try IPAddress(parsing: values.decode(String.self, forKey: .source))
        target = try IPAddress(parsing: values.decode(String.self, forKey: .target))
        port = try values.decode(UInt16.self, forKey: .port)
        sourcePort = try values.decodeIfPresent(UInt16.self, forKey: .sourcePort)
    }

    /// Writes the probe with its addresses as text.
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(kind, forKey: .kind)
        try values.encode(source.description, forKey: .source)
        try values.encode(target.description, forKey: .target)
        try values.encode(port, forKey: .port)
        try values.encodeIfPresent(sourcePort, forKey: .sourcePort)
    }
}
