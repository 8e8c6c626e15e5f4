import Netfilter

/// Sample addresses, computed from networks.
enum SampleAddress {
    /// The lowest address of a network that is not among `taken`; nil if none can be a source.
    static func member(of network: CIDR, except taken: [IPAddress]) -> IPAddress? {
        var candidate: IPAddress? = network.isHost ? network.address : network.address.next
        for _ in 0...taken.count {
            guard let address = candidate, network.contains(address) else { return nil }
            if !taken.contains(address), address.canSend { return address }
            candidate = address.next
        }
        return nil
    }

    /// The addresses just before and just after a network.
    static func neighbours(of network: CIDR, except taken: [IPAddress]) -> [IPAddress] {
        [network.address.previous, network.last.next].compactMap(\.self).filter { address in
            !network.contains(address) && !taken.contains(address) && address.canSend
        }
    }

    /// Addresses that the answers don't name: documentation addresses first (RFC 5737, RFC 3849), last one that bogon
    /// lists don't contain either.
    static func strangers(
        _ family: Family, except taken: [IPAddress], isListed: (IPAddress) -> Bool
    ) -> [IPAddress] {
        let names =
            family == .ipv4
            ? ["198.51.100.77", "203.0.113.77", "192.0.2.77", "198.18.7.7", "100.64.7.7", "9.9.9.77"]
            : ["2001:db8:bad::77", "2001:db8:fee::77", "3fff:bad::77", "2600:bad::77"]
        return names.compactMap { try? IPAddress(parsing: $0) }.filter { address in
            !isListed(address) && !taken.contains(address)
        }
    }
}

extension IPAddress {
    /// The address after this one; nil after the last.
    var next: IPAddress? { moved(by: 1) }

    /// The address before this one; nil before the first.
    var previous: IPAddress? { moved(by: -1) }

    /// Whether packets from it can be sent between namespaces: not loopback, multicast, link-local, or an IPv4-mapped
    /// IPv6 address.
    package var canSend: Bool {
        switch family {
        case .ipv4: bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224
        case .ipv6:
            bytes[0] != 0xff && !(bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80) && bytes[..<8].contains { $0 != 0 }
        }
    }

    private func moved(by step: Int) -> IPAddress? {
        var changed = bytes
        var carry = step
        for index in changed.indices.reversed() where carry != 0 {
            let sum = Int(changed[index]) + carry
            changed[index] = UInt8(truncatingIfNeeded: sum)
            carry = sum > 255 ? 1 : sum < 0 ? -1 : 0
        }
        return carry == 0 ? IPAddress(bytes: changed) : nil
    }
}

extension CIDR {
    /// The highest address of the network.
    var last: IPAddress {
        let bytes = address.bytes.enumerated().map { index, byte in
            let kept = min(max(prefixLength - index * 8, 0), 8)
            return byte | UInt8(truncatingIfNeeded: 0xff >> kept)
        }
        return IPAddress(bytes: bytes) ?? address
    }
}
