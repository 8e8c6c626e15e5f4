import Netfilter

/// Something that exists once an address family; nil where the family takes no part.
package struct PerFamily<Value> {
    /// The IPv4 half.
    package var ipv4: Value?
    /// The IPv6 half.
    package var ipv6: Value?

    /// A pair of halves.
    package init(ipv4: Value? = nil, ipv6: Value? = nil) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    /// The half of a family.
    package subscript(family: Family) -> Value? {
        get { family == .ipv4 ? ipv4 : ipv6 }
        set { if family == .ipv4 { ipv4 = newValue } else { ipv6 = newValue } }
    }

    /// The halves that are there, IPv4 first.
    package var present: [(family: Family, value: Value)] {
        Family.allCases.compactMap { family in self[family].map { (family, $0) } }
    }
}

extension PerFamily: Sendable where Value: Sendable {}
extension PerFamily: Equatable where Value: Equatable {}
extension PerFamily: Encodable where Value: Encodable {}
extension PerFamily: Decodable where Value: Decodable {}
