import Netfilter

/// Where a packet comes in: what conditions on the family, the interface and the destination are compared with.
package struct Viewpoint: Hashable, Sendable {
    /// The packet's family.
    package var family: Family
    /// The interface that it comes in through; never the loopback one.
    package var interface: String
    /// All interfaces that packets may come in through.
    package var interfaces: [String]
    /// The server's own addresses of that family; empty if they are unknown.
    package var addresses: [IPAddress]

    /// A viewpoint.
    package init(_ family: Family, interface: String, interfaces: [String] = [], addresses: [IPAddress] = []) {
        self.family = family
        self.interface = interface
        self.interfaces = interfaces
        self.addresses = addresses
    }

    /// Whether an interface in a rule is this one; a `wildcard` at its end stands for any characters.
    ///
    /// - Returns: nil for an interface that the machine does not have now.
    func isInterface(_ name: String, wildcard: Character) -> Bool? {
        func isMatch(_ interface: String) -> Bool {
            name.last == wildcard ? interface.hasPrefix(name.dropLast()) : interface == name
        }
        if isMatch(interface) { return true }
        return name == "lo" || interfaces.contains(where: isMatch) ? false : nil
    }

    /// Where a packet may be sent to that a rule is about.
    enum Destination: Equatable {
        /// To each of the server's own addresses.
        case every
        /// To none of them.
        case never
        /// To a multicast group.
        case groups([IPAddress])
        /// To some of them, or to others.
        case some
    }

    /// Which of the server's own addresses are in networks.
    func destination(_ networks: [CIDR]) -> Destination {
        let own = networks.filter { $0.family == family }
        if own.isEmpty { return .never }
        if own.contains(where: \.isEverything) { return .every }
        let groups = own.filter(\.address.isMulticast)
        if groups.count == own.count {
            let hosts = groups.filter(\.isHost).map(\.address)
            return hosts.isEmpty ? .never : .groups(hosts)
        }
        let inside = addresses.filter { address in own.contains { $0.contains(address) } }
        if addresses.isEmpty || own.contains(where: \.address.isLinkLocal) { return .some }
        return inside.count == addresses.count ? .every : inside.isEmpty ? .never : .some
    }
}

extension IPAddress {
    /// Whether it is valid on one link only: 169.254.0.0/16 (RFC 3927), fe80::/10 (RFC 4291).
    var isLinkLocal: Bool {
        family == .ipv4 ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80
    }
}
