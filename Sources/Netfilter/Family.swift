/// An address family of the kernel's packet filter; each has rules of its own.
package enum Family: String, CaseIterable, Codable, Sendable {
    case ipv4
    case ipv6
}
