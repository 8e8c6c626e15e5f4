extension CIDR {
    /// A network that packets may come from, as people write it.
    ///
    /// A rule that allows an impossible source would have no effect.
    ///
    /// - Throws: what is wrong with the text; `mapped` and `neverASource` for addresses that are never a packet's
    ///   source: the unspecified address, multicast, the broadcast address (RFC 1122 section 3.2.1.3; RFC 4291 section
    ///   2.5.2, 2.7), and IPv4 addresses embedded in IPv6 ones.
    package init(source text: String) throws(AddressError) {
        self = try CIDR(parsing: text)
        if let ipv4 = embedded { throw .mapped(text, ipv4: "\(ipv4)") }
        if isHost, address.bytes.allSatisfy({ $0 == 0 }) {
            throw .neverASource(text, kind: "the unspecified address")
        }
        if isHost, family == .ipv4, address.bytes.allSatisfy({ $0 == 255 }) {
            throw .neverASource(text, kind: "the broadcast address")
        }
        if address.isMulticast { throw .neverASource(text, kind: "a multicast address") }
    }

    /// The IPv4 network that is written with the prefix `::ffff:` or the older `::`.
    private var embedded: CIDR? {
        guard family == .ipv6, prefixLength >= 96, address.bytes.prefix(10).allSatisfy({ $0 == 0 }) else { return nil }
        let marker = address.bytes[10...11]
        let tail = Array(address.bytes[12...])
        let isMapped = marker.elementsEqual([0xff, 0xff])
        // `::` and `::1` are addresses of their own.
        let isCompatible = marker.elementsEqual([0, 0]) && tail.prefix(3).contains { $0 != 0 }
        guard isMapped || isCompatible, let ipv4 = IPAddress(bytes: tail) else { return nil }
        return CIDR(of: ipv4, prefixLength: prefixLength - 96)
    }
}

extension IPAddress {
    /// Whether packets to it go to a group of machines: 224.0.0.0/4 (RFC 5771), ff00::/8 (RFC 4291 section 2.7).
    package var isMulticast: Bool {
        family == .ipv4 ? bytes[0] & 0xf0 == 0xe0 : bytes[0] == 0xff
    }
}
