import Netfilter

extension CIDR {
    /// Whether it is a part of a network that is not routed on the Internet: RFC 1918, RFC 6598, RFC 3927, RFC 4193, and
    /// the addresses of one link.
    var isPrivate: Bool {
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"]
            .compactMap { try? CIDR(parsing: $0) }.contains { overlaps($0) }
    }

    /// Whether they have an address in common.
    func overlaps(_ other: CIDR) -> Bool { contains(other) || other.contains(self) }

    /// Whether no packet from outside can have such a source: loopback, multicast, reserved (RFC 6890).
    var isNeverOutside: Bool {
        switch family {
        case .ipv4:
            prefixLength >= 4 && address.bytes[0] >= 224
                || prefixLength >= 8 && (address.bytes[0] == 127 || address.bytes[0] == 0)
        case .ipv6:
            prefixLength >= 8 && address.isMulticast
                || isHost && address.bytes.dropLast().allSatisfy { $0 == 0 } && (address.bytes.last ?? 0) <= 1
        }
    }
}
