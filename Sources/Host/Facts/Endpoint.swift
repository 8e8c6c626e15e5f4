import Netfilter

extension IPAddress {
    /// An address as in the kernel's tables; a mapped one (::ffff:0:0/96) becomes its IPv4 address.
    ///
    /// - Parameter hostBytes: four or sixteen bytes in network order; nil for any other count.
    package init?(hostBytes: some Sequence<UInt8>) {
        let bytes = Array(hostBytes)
        let isMapped = bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10...11] == [0xff, 0xff]
        self.init(bytes: isMapped ? Array(bytes[12...]) : bytes)
    }

    /// The same from text; nil for text that is not an address, and for an address with a zone.
    package init?(hostText: String) {
        guard let address = try? IPAddress(parsing: hostText) else { return nil }
        self.init(hostBytes: address.bytes)
    }

    /// Whether it never leaves the machine: 127.0.0.0/8 and ::1.
    package var isLoopback: Bool {
        family == .ipv6 ? bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127
    }

    /// Whether it means all addresses: 0.0.0.0 and ::.
    package var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    /// Whether it is valid on one link only: 169.254.0.0/16 and fe80::/10.
    package var isLinkLocal: Bool {
        family == .ipv6 ? bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 : bytes[0] == 169 && bytes[1] == 254
    }
}

/// One end of a connection: an address and a port.
package struct Endpoint: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `192.0.2.1:22` or `[2001:db8::1]:22`.
    package var description: String { address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// By address, then by port.
    package static func < (left: Endpoint, right: Endpoint) -> Bool {
        left.address == right.address ? left.port < right.port : left.address < right.address
    }
}
