/// An address family of the kernel's packet filter; each has its own rules.
package enum Family: String, CaseIterable, Codable, Sendable {
    case ipv4
    case ipv6

    /// As people write it.
    package var title: String { self == .ipv4 ? "IPv4" : "IPv6" }
}
