import Netfilter

// What the plan promises, derived without reading rules: the rehearsal and the tests compare rules and packets with it.
extension Plan {
    /// Whether the first packet of a new connection is allowed.
    ///
    /// - Parameters:
    ///   - source: the packet's source; a loopback address means the server itself.
    ///   - transport: TCP or UDP.
    ///   - port: the destination port. The source port is ignored: a packet that only looks like a reply is not one.
    ///   - group: the multicast group it is sent to; nil for an address of the server's own.
    ///   - interface: the interface through which it comes in; nil if it is unknown.
    /// - Returns: false if the packet is dropped: by the last rule with `keep`, by the policy of INPUT with `replace`.
    ///   Packets that are over a limit are not counted: this is about the first ones.
    package func accepts(
        from source: IPAddress, transport: TransportProtocol, port: UInt16, to group: IPAddress? = nil,
        on interface: String? = nil
    ) -> Bool {
        accepts(from: source, on: interface) { opening in
            switch opening {
            case .everything: true
            case .ports(let spec): spec.transport == transport && spec.range.contains(port)
            case .multicast(let spec, let groups):
                spec.transport == transport && spec.range.contains(port) && group.map(groups.contains) == true
            case .ipProtocol, .ping: false
            }
        }
    }

    /// Whether a ping (an ICMP echo request) is accepted; with `limited`, as long as there are few.
    package func acceptsPing(from source: IPAddress, on interface: String? = nil) -> Bool {
        accepts(from: source, on: interface) { opening in
            switch opening {
            case .everything, .ping: true
            case .ports, .multicast, .ipProtocol: false
            }
        }
    }

    /// Whether packets of a protocol directly above IP are accepted.
    package func accepts(
        from source: IPAddress, ipProtocol: IPProtocol, on interface: String? = nil
    ) -> Bool {
        accepts(from: source, on: interface) { opening in
            switch opening {
            case .everything: true
            case .ipProtocol(let open): open == ipProtocol
            case .ports, .multicast, .ping: false
            }
        }
    }

    /// Whether new packets of a family from outside can be accepted at all.
    package func isOpen(_ family: Family) -> Bool { family == .ipv4 || answers.ipv6 }

    private func accepts(
        from source: IPAddress, on interface: String?, _ matches: (Permission.Opening) -> Bool
    ) -> Bool {
        if source.isLoopback { return true }
        guard isOpen(source.family) else { return false }
        if blocks(source, on: interface) { return false }
        return permissions.contains { permission in
            permission.admits(source, on: interface, admins: answers.admins) && matches(permission.opening)
        }
    }

    /// Whether the answer `block` drops new packets from there; the admins' are never dropped.
    ///
    /// - Parameters:
    ///   - source: where a packet comes from.
    ///   - interface: the interface through which it comes in; nil if it is unknown.
    /// - Returns: false also for an admin.
    package func blocks(_ source: IPAddress, on interface: String? = nil) -> Bool {
        !answers.admins.contains(source, on: interface) && answers.block.contains(source, on: interface)
    }
}

extension IPAddress {
    /// Whether the address is a loopback address: 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or ::1.
    package var isLoopback: Bool {
        switch family {
        case .ipv4: bytes[0] == 127
        case .ipv6: bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 }
        }
    }
}
