import Glibc

/// An IPv4 or IPv6 address as the kernel's tables have it; a mapped one (::ffff:0:0/96) is its IPv4 address.
package struct HostAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Four bytes for IPv4, sixteen for IPv6, in network order.
    package let bytes: [UInt8]

    /// An address of four or sixteen bytes in network order; `nil` for any other count.
    package init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let isMapped = bytes.count == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10...11] == [0xff, 0xff]
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
    }

    /// An address in any form that inet_pton(3) reads, without a zone.
    package init?(_ text: String) {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 {
            self.init(bytes: buffer[..<4])
        } else if inet_pton(AF_INET6, text, &buffer) == 1 {
            self.init(bytes: buffer)
        } else {
            return nil
        }
    }

    package var isIPv6: Bool { bytes.count == 16 }

    /// Whether it never leaves the machine: 127.0.0.0/8 and ::1.
    package var isLoopback: Bool { isIPv6 ? bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1 : bytes[0] == 127 }

    /// Whether it stands for every address: 0.0.0.0 and ::.
    package var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    /// Whether it means something on one link only: 169.254.0.0/16 and fe80::/10.
    package var isLinkLocal: Bool {
        isIPv6 ? bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 : bytes[0] == 169 && bytes[1] == 254
    }

    /// The canonical text of RFC 5952.
    package var description: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &buffer, socklen_t(buffer.count))
        return String(decoding: buffer.prefix(while: { $0 != 0 }).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// IPv4 before IPv6, then by number.
    package static func < (left: HostAddress, right: HostAddress) -> Bool {
        left.bytes.count == right.bytes.count
            ? left.bytes.lexicographicallyPrecedes(right.bytes) : left.bytes.count < right.bytes.count
    }
}

/// One end of a connection: an address and a port.
package struct Endpoint: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let address: HostAddress
    package let port: UInt16

    package init(address: HostAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `192.0.2.1:22` or `[2001:db8::1]:22`.
    package var description: String { address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// By address, then by port.
    package static func < (left: Endpoint, right: Endpoint) -> Bool {
        left.address == right.address ? left.port < right.port : left.address < right.address
    }
}
