/// A network, or one host as a network of the full prefix length: `10.0.0.0/8`, `192.168.1.33`.
package struct CIDR: Hashable, Sendable {
    /// The lowest address of the network; it has no host bits.
    package let address: IPAddress
    /// The prefix length: how many leading bits the network's addresses share, up to 32 or 128.
    package let prefixLength: Int

    /// One host as a network.
    package init(_ host: IPAddress) {
        address = host
        prefixLength = host.bytes.count * 8
    }

    /// A network from its lowest address; an address with host bits is refused, never truncated.
    package init(_ address: IPAddress, prefixLength: Int) throws(AddressError) {
        try self.init(address, prefixLength: prefixLength, text: "\(address)/\(prefixLength)")
    }

    /// A network as people write it: `10.0.0.0/8`, `2001:db8::/32`, or a bare address.
    package init(parsing text: String) throws(AddressError) {
        guard let slash = text.utf8.firstIndex(of: Ascii.slash) else {
            self.init(try IPAddress(parsing: text))
            return
        }
        if text.utf8.contains(where: { $0 > 0x7f }) { throw .notASCII(text) }
        let address: IPAddress
        do {
            address = try IPAddress(parsing: String(text[..<slash]))
        } catch {
            throw error.replacing(text: text)
        }
        let suffix = String(text[text.utf8.index(after: slash)...])
        guard !suffix.isEmpty, suffix.utf8.allSatisfy(Ascii.isDigit) else {
            throw (try? IPAddress(parsing: suffix)) != nil ? .netmask(text) : .badPrefixLength(text)
        }
        guard suffix == "0" || suffix.utf8.first != Ascii.zero else { throw .leadingZero(text, number: suffix) }
        try self.init(address, prefixLength: Int(suffix) ?? Int.max, text: text)
    }

    /// The network that contains this host; nil if the length is invalid.
    package init?(of host: IPAddress, prefixLength: Int) {
        guard (0...host.bytes.count * 8).contains(prefixLength) else { return nil }
        address = Self.lowest(of: host, prefixLength: prefixLength)
        self.prefixLength = prefixLength
    }

    private init(_ address: IPAddress, prefixLength: Int, text: String) throws(AddressError) {
        let longest = address.bytes.count * 8
        guard (0...longest).contains(prefixLength) else { throw .prefixTooLong(text, longest: longest) }
        let network = Self.lowest(of: address, prefixLength: prefixLength)
        guard network == address else { throw .hostBits(text, network: "\(network)/\(prefixLength)") }
        self.address = address
        self.prefixLength = prefixLength
    }

    private static func lowest(of address: IPAddress, prefixLength: Int) -> IPAddress {
        if prefixLength == address.bytes.count * 8 { return address }
        let bytes = address.bytes.enumerated().map { index, byte in
            let kept = min(max(prefixLength - index * 8, 0), 8)
            return byte & ~UInt8(truncatingIfNeeded: 0xff >> kept)
        }
        return IPAddress(bytes: bytes) ?? address
    }
}

extension CIDR {
    /// Whether the network is IPv4 or IPv6.
    package var family: Family { address.family }

    /// Whether the network is a single address.
    package var isHost: Bool { prefixLength == address.bytes.count * 8 }

    /// Every address of one family: `0.0.0.0/0` or `::/0`.
    package var isEverything: Bool { prefixLength == 0 }

    /// Whether the address is in the network; never for the other family.
    package func contains(_ other: IPAddress) -> Bool {
        other.family == family && Self.lowest(of: other, prefixLength: prefixLength) == address
    }

    /// Whether all addresses of the other network are in this one.
    package func contains(_ other: CIDR) -> Bool {
        other.prefixLength >= prefixLength && contains(other.address)
    }

    /// With the prefix length in all cases, as iptables-save prints it: `192.168.1.33/32`.
    package var canonical: String { address.description + "/" + String(prefixLength) }
}

extension CIDR: CustomStringConvertible {
    /// As people write it: a host without its length, a network with it.
    package var description: String { isHost ? address.description : canonical }
}

extension CIDR: Comparable {
    /// By address, IPv4 first; of networks with the same lowest address the larger one first.
    package static func < (left: CIDR, right: CIDR) -> Bool {
        (left.address, left.prefixLength) < (right.address, right.prefixLength)
    }
}

extension AddressError {
    /// The same mistake, for the longer text that contains this one.
    fileprivate func replacing(text: String) -> AddressError {
        switch self {
        case .notAnAddress: .notAnAddress(text)
        case .numberTooLarge(_, let number): .numberTooLarge(text, number: number)
        case .leadingZero(_, let number): .leadingZero(text, number: number)
        case .zone: .zone(text)
        case .notASCII: .notASCII(text)
        case .network: .network(text)
        case .badPrefixLength: .badPrefixLength(text)
        case .netmask: .netmask(text)
        case .prefixTooLong(_, let longest): .prefixTooLong(text, longest: longest)
        case .hostBits(_, let network): .hostBits(text, network: network)
        case .mapped(_, let ipv4): .mapped(text, ipv4: ipv4)
        case .neverASource(_, let kind): .neverASource(text, kind: kind)
        }
    }
}
