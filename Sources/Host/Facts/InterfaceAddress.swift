import Glibc
import Netfilter

/// An address of one of this machine's interfaces.
package struct InterfaceAddress: Hashable, Sendable {
    /// How far an address reaches (rt_scope of ip-address(8)).
    package enum Scope: String, Sendable { case host, link, global }

    package let interface: String
    package let address: IPAddress
    package let prefixLength: Int
    /// Whether the interface is up.
    package let isUp: Bool

    package init(interface: String, address: IPAddress, prefixLength: Int, isUp: Bool) {
        self.interface = interface
        self.address = address
        self.prefixLength = prefixLength
        self.isUp = isUp
    }

    package var scope: Scope { address.isLoopback ? .host : address.isLinkLocal ? .link : .global }
}

/// The names of the interfaces of this program's own network namespace, with or without addresses.
///
/// - Returns: An empty list when the kernel does not answer.
package func ownInterfaces() -> [String] {
    guard let list = if_nameindex() else { return [] }
    defer { if_freenameindex(list) }
    var names: [String] = []
    var next = list
    while let name = next.pointee.if_name {
        names.append(String(cString: name))
        next += 1
    }
    return names
}

/// The addresses of this program's own network namespace, both families, by interface and address.
///
/// - Returns: An empty list when the kernel does not answer.
package func ownAddresses() -> [InterfaceAddress] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var found: [InterfaceAddress] = []
    var next = first
    while let entry = next?.pointee {
        next = entry.ifa_next
        guard let address = hostAddress(entry.ifa_addr) else { continue }
        let mask = hostAddress(entry.ifa_netmask)?.bytes ?? []
        found.append(
            InterfaceAddress(
                interface: String(cString: entry.ifa_name), address: address,
                prefixLength: mask.reduce(0) { $0 + $1.nonzeroBitCount },
                isUp: entry.ifa_flags & UInt32(IFF_UP) != 0))
    }
    return found.sorted { ($0.interface, $0.address) < ($1.interface, $1.address) }
}

private func hostAddress(_ socketAddress: UnsafeMutablePointer<sockaddr>?) -> IPAddress? {
    guard let socketAddress else { return nil }
    let raw = UnsafeRawPointer(socketAddress)
    switch Int32(socketAddress.pointee.sa_family) {
    case AF_INET:
        return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { IPAddress(hostBytes: $0) }
    case AF_INET6:
        return withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { IPAddress(hostBytes: $0) }
    default:
        return nil
    }
}
